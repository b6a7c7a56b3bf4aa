"""The position inside an epoch: a run that ended in the middle of one resumes with the rest of it."""

from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor

from gan.checkpoint_files import progress
from gan.loggers import ImageAxis
from gan.module import GAN
from gan.randomness import derive_seed


class MidEpoch(Callback):
    """Resumes with the next batch of an unfinished epoch, and with the random numbers that would have come next.

    Lightning counts an epoch that `max_time` or `max_images` ended early as done, and would start the next one. With
    this callback, which `gan train` always adds, the run ends as an undisturbed one does (bit for bit on the CPU).

    A checkpoint in the middle of an epoch has `random_states`: for each process, the states of its random number
    generators after its last batch. Without them (an older checkpoint, another number of processes), the generators
    are seeded from the position.
    """

    def __init__(self) -> None:
        self._batches_done = 0
        self._states_now: list[Tensor] = []
        self._states_to_restore: list[Tensor] = []

    def on_load_checkpoint(self, trainer: Trainer, pl_module: GAN, checkpoint: dict[str, Any]) -> None:
        _, self._batches_done = progress(checkpoint)
        if not self._batches_done:
            return
        epochs = checkpoint["loops"]["fit_loop"]["epoch_progress"]
        for counts in (epochs["total"], epochs["current"]):  # Lightning finds the epoch ready to start, not processed
            done = counts["completed"]
            counts |= {"ready": done + 1, "started": done, "processed": done}
        states = checkpoint.get("random_states", [])
        if len(states) == trainer.world_size:
            self._states_to_restore = states[trainer.global_rank]

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
        """Tells the loggers where the run continues: `images_seen` is restored, and nothing is logged yet."""
        for logger in trainer.loggers:
            if isinstance(logger, ImageAxis):
                logger.follow(pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: GAN) -> None:
        if self._batches_done:
            trainer.train_dataloader.skip(self._batches_done)

    def on_train_batch_start(self, trainer: Trainer, pl_module: GAN, batch: Any, batch_idx: int) -> None:
        if self._batches_done:  # after the module has seeded the epoch
            position = (trainer.current_epoch, trainer.global_rank, self._batches_done)
            torch.manual_seed(derive_seed(pl_module.hparams.seed, *position))
            for generator, state in zip(_generators(pl_module.device), self._states_to_restore, strict=False):
                generator.set_state(state)
            self._batches_done = 0

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: Any, batch_idx: int) -> None:
        # Validation may follow, and draw random numbers that an undisturbed run does not draw here.
        self._states_now = [generator.get_state() for generator in _generators(pl_module.device)]

    def on_save_checkpoint(self, trainer: Trainer, pl_module: GAN, checkpoint: dict[str, Any]) -> None:
        _, batches = progress(checkpoint)
        if batches:
            states = [self._states_now] * trainer.world_size
            if trainer.world_size > 1:
                torch.distributed.all_gather_object(states, self._states_now)
            checkpoint["random_states"] = states


def _generators(device: torch.device) -> list[torch.Generator]:
    on_cuda = [torch.cuda.default_generators[device.index]] if device.type == "cuda" else []
    return [torch.default_generator, *on_cuda]
