"""The position inside an epoch: a run that ended in the middle of one resumes with the rest of it."""

import logging
from typing import Any

import torch
from lightning import Callback
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from gan.checkpoint_files import epoch_position
from gan.data import MNISTDataModule
from gan.loggers import ImageAxis
from gan.module import GAN
from gan.randomness import derive_seed
from gan.trainer_types import Trainer, early_stops, limited

NOT_STOPPED, PATIENCE_EXHAUSTED = EarlyStoppingReason.NOT_STOPPED, EarlyStoppingReason.PATIENCE_EXHAUSTED
log = logging.getLogger("gan")


class MidEpoch(Callback):
    """Resumes with the next batch of an unfinished epoch, and with the random numbers that would have come next.

    Lightning counts an epoch that `max_time` or `max_images` ended early as done, and would start the next one. With
    this callback, which `gan train` always adds, the run ends as an undisturbed one does (bit for bit on the CPU).

    A checkpoint in the middle of an epoch has three more entries. `random_states` holds for each process the states of
    its random number generators after its last batch; without them (another number of processes) the generators are
    seeded from the position. `epoch_position` holds the images of the epoch that are done, and the batch size and the
    number of processes that it was begun with. A run that resumes with others trains on exactly the images left.
    `epoch_order` holds what their order follows from. Where that has changed the rest of the epoch has as many images,
    some of which have come already; the log says so.
    """

    def __init__(self) -> None:
        self._begun = (0, 0, 0)  # `epoch_position` when this process began its part of the epoch
        self._batches_before = 0  # the same in batches of this run's size and processes
        self._resumes = False
        self._states_now: list[Tensor] = []
        self._states_to_restore: list[Tensor] = []

    def on_load_checkpoint(self, trainer: Trainer, pl_module: GAN, checkpoint: dict[str, Any]) -> None:
        for callback in trainer.early_stopping_callbacks:  # Lightning restores the old patience, and ends as it did
            if state := checkpoint["callbacks"].get(callback.state_key):
                state["patience"] = callback.patience
                if state["wait_count"] < callback.patience and state["stopping_reason"] == PATIENCE_EXHAUSTED.value:
                    state["stopping_reason"] = NOT_STOPPED.value
        _, batches = epoch_position(checkpoint)
        if not batches:
            return
        data, world_size = trainer.datamodule, trainer.world_size
        unchanged = (batches * data.batch_size * world_size, data.batch_size, world_size)
        self._begun = checkpoint.get("epoch_position", unchanged)
        whole = data.epoch_images // (data.batch_size * world_size)
        batches_left = max(0, data.epoch_images - self._begun[0]) // (data.batch_size * world_size)
        batches = whole - batches_left
        batches_left = min(batches_left, max(0, limited(whole, trainer.limit_train_batches) - batches))

        loops = checkpoint["loops"]["fit_loop"]
        counts, epochs = loops["epoch_loop.batch_progress"], loops["epoch_progress"]
        total = counts["total"]["processed"]
        counts |= {"total": dict.fromkeys(counts["total"], total), "current": dict.fromkeys(counts["current"], batches)}
        counts["is_last_batch"] = batches_left == 0  # no whole batch is left
        for of_epoch in (epochs["total"], epochs["current"]):
            done = of_epoch["completed"]
            processed = done + counts["is_last_batch"]  # Lightning finds an unfinished epoch ready to start
            of_epoch |= {"ready": done + 1, "started": processed, "processed": processed}
        self._batches_before, self._resumes = batches, batches_left > 0
        states = checkpoint.get("random_states", [])
        if len(states) == world_size:
            self._states_to_restore = states[trainer.global_rank]
        if self._resumes:
            for name, now in _order_of(data).items():
                if (then := checkpoint.get("epoch_order", {}).get(name, now)) != now:
                    text = "changed     %s=%s, was %s; some images of this epoch come twice, others not at all"
                    rank_zero_only(log.info)(text, name, now, then)

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
        """Tells the loggers where the run continues: `images_seen` is restored, and nothing is logged yet.

        A run that Lightning's early stopping has ended ends again; Lightning would train up to the next validation.
        """
        trainer.should_stop = trainer.should_stop or bool(early_stops(trainer))
        for logger in trainer.loggers:
            if isinstance(logger, ImageAxis):
                logger.follow(pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: GAN) -> None:
        if self._resumes:
            epochs = trainer.fit_loop.epoch_progress.current
            epochs.ready = epochs.completed + 1  # else resuming the checkpoint at this epoch's end would repeat it
            trainer.train_dataloader.skip(*self._begun)
        else:
            self._begun, self._batches_before = (0, trainer.datamodule.batch_size, trainer.world_size), 0

    def on_train_batch_start(self, trainer: Trainer, pl_module: GAN, batch: Any, batch_idx: int) -> None:
        if self._resumes:  # after the module has seeded the epoch
            # In a checkpoint that was written after a batch or a validation, Lightning's count is off by one.
            trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.fit_loop.total_batch_idx
            position = (trainer.current_epoch, trainer.global_rank, self._batches_before)
            torch.manual_seed(derive_seed(pl_module.hparams["seed"], *position))
            for generator, state in zip(_generators(pl_module.device), self._states_to_restore, strict=False):
                generator.set_state(state)
            self._resumes = False

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: Any, batch_idx: int) -> None:
        # Validation may follow, and draw random numbers that an undisturbed run does not draw here.
        self._states_now = [generator.get_state() for generator in _generators(pl_module.device)]

    def on_save_checkpoint(self, trainer: Trainer, pl_module: GAN, checkpoint: dict[str, Any]) -> None:
        _, batches = epoch_position(checkpoint)
        if batches:
            states = [self._states_now] * trainer.world_size
            if trainer.world_size > 1:
                torch.distributed.all_gather_object(states, self._states_now)
            checkpoint["random_states"] = states
            images, batch_size, world_size = self._begun
            images += (batches - self._batches_before) * trainer.datamodule.batch_size * trainer.world_size
            checkpoint["epoch_position"] = (images, batch_size, world_size)
            checkpoint["epoch_order"] = _order_of(trainer.datamodule)


def _order_of(data: MNISTDataModule) -> dict[str, float | None]:
    """What the order of an epoch's images follows from, by the key that sets it."""
    length = data.epoch_images if data.stratified_batches else None  # without, each epoch is the start of a longer one
    return {
        "training images": len(data.train_images),
        "data.seed": data.seed,
        "data.stratified_batches": data.stratified_batches,
        "data.rare_share": data.rare_share,
        "data.images_per_epoch": length,
    }


def _generators(device: torch.device) -> list[torch.Generator]:
    on_cuda = [torch.cuda.default_generators[device.index]] if device.type == "cuda" else []
    return [torch.default_generator, *on_cuda]
