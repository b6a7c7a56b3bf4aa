"""Images to train on: the data module, and the sources it takes them from."""

from gan.data.batches import EvaluationBatches, TrainingBatches, stratified_split
from gan.data.datamodule import MNISTDataModule
from gan.data.sklearn_digits import Digits
from gan.data.sources import KMNIST, MNIST, DataNotFoundError, FashionMNIST, IDXFiles, Source, StackedMNIST

__all__ = [
    "KMNIST",
    "MNIST",
    "DataNotFoundError",
    "Digits",
    "EvaluationBatches",
    "FashionMNIST",
    "IDXFiles",
    "MNISTDataModule",
    "Source",
    "StackedMNIST",
    "TrainingBatches",
    "stratified_split",
]
