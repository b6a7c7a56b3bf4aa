"""Ends a run after a number of images."""

from typing import Any

from lightning import Callback, Trainer

from gan.config.bounds import require_number
from gan.module import GAN


class ImageBudget(Callback):
    """Ends training with the batch that brings `images_seen` to `max_images`.

    Args:
        max_images: real images of the whole run; None sets no limit.
    """

    def __init__(self, max_images: int | None = None) -> None:
        require_number("callbacks.budget.max_images", max_images, least=1, whole=True, optional=True)
        self.max_images = max_images

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.max_images is not None and pl_module.images_seen >= self.max_images:
            trainer.should_stop = True
