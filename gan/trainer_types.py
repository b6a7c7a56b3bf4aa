"""The trainer of a run, as its callbacks know it, and what they ask of it."""

import math
from typing import Any

import lightning
from lightning import Callback
from lightning.pytorch.callbacks.early_stopping import EarlyStopping, EarlyStoppingReason
from lightning.pytorch.profilers import Profiler

from gan.data import MNISTDataModule, TrainingBatches


class Trainer(lightning.Trainer):
    """Names the types of what Lightning's Trainer has in a run of `gan train`.

    A run's trainer is Lightning's own. It sets some of these attributes without declaring them, and declares the others
    more widely than they are here.
    """

    callbacks: list[Callback]
    datamodule: MNISTDataModule
    log_every_n_steps: int
    max_epochs: int  # a fit begins with a number in place of None
    profiler: Profiler
    train_dataloader: TrainingBatches


def early_stops(trainer: Trainer) -> list[EarlyStopping]:
    """Those of Lightning's callbacks for early stopping that have ended the run, also before it was resumed."""
    callbacks = trainer.early_stopping_callbacks
    return [callback for callback in callbacks if callback.stopping_reason != EarlyStoppingReason.NOT_STOPPED]


def current_metrics(trainer: Trainer) -> dict[str, Any]:
    """The last value of each logged metric, and the images seen now: the last row may be of some batches ago."""
    metrics = dict(trainer.callback_metrics)
    return {**metrics, "images_seen": trainer.lightning_module.images_seen} if "images_seen" in metrics else metrics


def validated_on(trainer: Trainer) -> dict[str, Any]:
    """What the images of validation are, and how many; empty without a validation, or with another data module."""
    data, limit = trainer.datamodule, trainer.limit_val_batches
    if not isinstance(data, MNISTDataModule) or not limit:
        return {}
    batch = data.val_batch_size * trainer.world_size
    images = min(len(data.val_images), limited(math.ceil(len(data.val_images) / batch), limit) * batch)
    return {"data": data.source.name, "data.val_size": data.val_size, "validation images": images}


def limited(batches: int, limit: float) -> int:
    """As many of an epoch's batches as `trainer.limit_train_batches` leaves: a number of them, or a share."""
    return min(batches, limit) if type(limit) is int else int(batches * limit)
