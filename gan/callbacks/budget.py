"""Ends a run after a number of images."""

from typing import Any

from lightning import Callback

from gan.config.bounds import require
from gan.module import GAN
from gan.trainer_types import Trainer


class ImageBudget(Callback):
    """Ends training with the batch that brings `images_seen` of the whole run to `max_images`."""

    def __init__(self, max_images: int | None = None) -> None:
        require("callbacks.budget.max_images", max_images)
        self.max_images = max_images

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.max_images is not None and pl_module.images_seen >= self.max_images:
            trainer.should_stop = True


class NoMoreBatches(Callback):
    """Trains no further in a resumed run whose training is complete: only its last files are written."""

    def on_fit_start(self, trainer: Trainer, pl_module: GAN) -> None:
        trainer.fit_loop.max_epochs = -1  # without more epochs Lightning ends a run before its first hook

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
        trainer.should_stop = True
