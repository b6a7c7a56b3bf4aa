"""How many images a run sees, and its end after a number of them."""

import math
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


def images_of_run(trainer: Trainer, module: GAN) -> float:
    """The images that a run will have seen at its end, to be called when an epoch starts; inf where nothing ends it."""
    progress = trainer.fit_loop.epoch_loop.batch_progress  # of the epoch before, or of one that is resumed
    done = 0 if progress.is_last_batch else progress.current.ready
    epochs = math.inf if trainer.max_epochs == -1 else trainer.max_epochs - trainer.current_epoch
    batches = epochs * trainer.num_training_batches - done
    limits = [module.images_seen + batches * trainer.datamodule.batch_size * trainer.world_size]
    limits += [each.max_images for each in trainer.callbacks if isinstance(each, ImageBudget) and each.max_images]
    return min(limits)
