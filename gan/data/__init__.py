"""Images to train on: the data module, and the sources it takes them from."""

from gan.data.batches import EvaluationBatches, TrainingBatches, stratified_split
from gan.data.datamodule import MNISTDataModule
from gan.data.idx_source import IDXFiles
from gan.data.mnist import KMNIST, MNIST, FashionMNIST, StackedMNIST
from gan.data.sklearn_digits import Digits
from gan.data.source import DataNotFoundError, Source

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
