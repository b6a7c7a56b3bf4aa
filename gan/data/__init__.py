"""Images to train on: the data module, and the sources it takes them from."""

from gan.data.batches import EvaluationBatches, TrainingBatches
from gan.data.datamodule import MNISTDataModule
from gan.data.idx import DataNotFoundError
from gan.data.sklearn_digits import Digits
from gan.data.sources import KMNIST, MNIST, FashionMNIST, IDXFiles, Source, StackedMNIST
from gan.data.split import stratified_split

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
