"""The trainer of a run, as its callbacks know it."""

import lightning
from lightning import Callback
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
