"""The progress of an epoch: a bar on a terminal, a line for each epoch in a file."""

import logging
import math
import sys
from typing import Any

from lightning import Trainer
from lightning.pytorch.callbacks import TQDMProgressBar

from gan.callbacks.budget import ImageBudget
from gan.module import GAN

log = logging.getLogger("gan")


class ProgressBar(TQDMProgressBar):
    """Counts batches, also where one call of `training_step` takes many, up to those that the run has left.

    Where the output is neither a terminal nor a notebook, a line is logged after each epoch instead.
    """

    def setup(self, trainer: Trainer, pl_module: GAN, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        self._logs_lines = self.is_enabled and not (sys.stdout.isatty() or "ipykernel" in sys.modules)
        if self._logs_lines:
            self.disable()

    @property
    def total_train_batches(self) -> int | float:
        """The batches of this epoch, or fewer where `max_images` or `max_steps` ends the run within it."""
        trainer = self.trainer
        limits = [
            (callback.max_images - trainer.lightning_module.images_seen)
            / (trainer.datamodule.batch_size * trainer.world_size)
            for callback in trainer.callbacks
            if isinstance(callback, ImageBudget) and callback.max_images is not None
        ]
        if trainer.max_steps > 0:
            limits.append((trainer.max_steps - trainer.global_step) / 2)
        progress = trainer.fit_loop.epoch_loop.batch_progress  # of the epoch before, or of one that is resumed
        done = 0 if progress.is_last_batch else progress.current.processed
        return min([super().total_train_batches, *(done + math.ceil(limit) for limit in limits)])

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: Any, batch_idx: int) -> None:
        batches = trainer.fit_loop.epoch_loop.batch_progress.current.processed
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batches - 1)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: GAN) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        if self._logs_lines and trainer.is_global_zero:
            values = {name: value for name, value in self.get_metrics(trainer, pl_module).items() if name != "v_num"}
            shown = "".join(f", {name} {value:,.4g}" for name, value in values.items() if isinstance(value, float))
            log.info("epoch %-5d %s images%s", trainer.current_epoch + 1, f"{pl_module.images_seen:,}", shown)
