"""The progress bar of an epoch."""

from typing import Any

from lightning import Trainer
from lightning.pytorch.callbacks import TQDMProgressBar

from gan.module import GAN


class ProgressBar(TQDMProgressBar):
    """Counts batches, also where one call of `training_step` takes many."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: Any, batch_idx: int) -> None:
        batches = trainer.fit_loop.epoch_loop.batch_progress.current.processed
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batches - 1)
