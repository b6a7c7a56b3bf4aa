"""Which digits the extractor's classifier reads in the images."""

import math

import torch
from torch import Tensor

from gan.metrics.measures.measure import Comparison, Measure


def digit_accuracy(digits: Tensor, labels: Tensor) -> float:
    """The share of images read as the digit they were generated for, 0..1.

    Args:
        digits: int64 [N], the predicted classes.
        labels: int64 [N], the requested classes.
    """
    return (digits == labels).double().mean().item()


def class_balance(digits: Tensor, num_classes: int) -> float:
    """KL(p || uniform) = log K + sum p log p of the frequencies p, in nats: 0 when balanced, log K for one class.

    With the 1,000 classes of StackedMNIST and 26,000 samples this is the KL of Srivastava et al. 2017 and Metz et al.
    2017.

    Args:
        digits: int64 [N], the predicted classes.
        num_classes: K.
    """
    frequencies = torch.bincount(digits, minlength=num_classes).double() / len(digits)
    return max(0.0, math.log(num_classes) - torch.special.entr(frequencies).sum().item())


def modes(digits: Tensor) -> int:
    """The number of classes with at least one image (Metz et al. 2017).

    Args:
        digits: int64 [N], the predicted classes.
    """
    return len(digits.unique())


def confusion(labels: Tensor, digits: Tensor, num_classes: int) -> Tensor:
    """int64 [K, K]: how many images of each label (row) were read as each digit (column)."""
    return torch.bincount(labels * num_classes + digits, minlength=num_classes**2).view(num_classes, num_classes)


class DigitAccuracy(Measure):
    """How often the classifier reads the requested digit."""

    name = "digit_accuracy"
    values = {"digit_accuracy": "higher"}
    reads_digits = True
    needs_labels = True

    def compute(self, sets: Comparison) -> dict[str, float]:
        return {self.name: digit_accuracy(sets.generated.digits, sets.generated.labels)}


class ClassBalance(Measure):
    """How far the frequencies of the classes are from equal ones."""

    name = "class_balance"
    values = {"class_balance": "lower"}
    reads_digits = True

    def compute(self, sets: Comparison) -> dict[str, float]:
        return {self.name: class_balance(sets.generated.digits, sets.generated.logits.shape[1])}


class Modes(Measure):
    """How many of the classes are generated at all."""

    name = "modes"
    values = {"modes": "higher"}
    reads_digits = True
    published_samples = {3: 26_000}

    def compute(self, sets: Comparison) -> dict[str, float]:
        return {self.name: float(modes(sets.generated.digits))}
