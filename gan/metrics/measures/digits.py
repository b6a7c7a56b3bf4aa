"""Which digits the extractor's classifier reads in the images."""

import math

import torch
from torch import Tensor

from gan.metrics.bootstrap import Resamples
from gan.metrics.measures.base import Comparison, Measure


class DigitAccuracy(Measure):
    """The share of images in which the requested digit is read, 0..1."""

    name = "digit_accuracy"
    values = {"digit_accuracy": "higher"}
    bounds = (0, 1)
    reads_digits = True
    needs_labels = True

    def enough(self, num_features: int, num_classes: int) -> tuple[int, int]:
        return 0, 100  # a share of fewer is uncertain by more than 0.05

    def compute(self, sets: Comparison) -> dict[str, float]:
        return {self.name: correct(sets).mean().item()}

    def resampled(self, sets: Comparison, resamples: Resamples) -> dict[str, Tensor]:
        return {self.name: resamples.generated_means(correct(sets))}


def correct(sets: Comparison) -> Tensor:
    """1 for each generated image in which the requested digit is read, else 0: float64 [N]."""
    assert sets.generated.labels is not None  # for `needs_labels`
    return (sets.generated.digits == sets.generated.labels).double()


class _OfClasses(Measure):
    def enough(self, num_features: int, num_classes: int) -> tuple[int, int]:
        return 0, 10 * num_classes  # else some classes are missing by chance


class ClassBalance(_OfClasses):
    """KL(p || uniform) = log K + sum p log p of the K classes' frequencies p, in nats: 0 when balanced, at most log K.

    With the 1,000 classes of StackedMNIST and 26,000 samples this is the KL of Srivastava et al. 2017 and Metz et al.
    2017.
    """

    name = "class_balance"
    values = {"class_balance": "lower"}
    bounds = (0, math.inf)
    reads_digits = True

    def compute(self, sets: Comparison) -> dict[str, float]:
        num_images, num_classes = sets.generated.logits.shape
        frequencies = torch.bincount(sets.generated.digits, minlength=num_classes).double() / num_images
        return {self.name: max(0.0, math.log(num_classes) - torch.special.entr(frequencies).sum().item())}

    def resampled(self, sets: Comparison, resamples: Resamples) -> dict[str, Tensor]:
        counts, num_classes = resamples.generated_counts, sets.generated.logits.shape[1]
        of_classes = counts.new_zeros(len(counts), num_classes).index_add_(1, sets.generated.digits.cpu(), counts)
        return {self.name: -torch.special.entr(of_classes / len(sets.generated)).sum(1)}


class Modes(_OfClasses):
    """The number of classes with at least one image (Metz et al. 2017). A count has no interval here."""

    name = "modes"
    values = {"modes": "higher"}
    reads_digits = True
    published_samples = {3: 26_000}

    def compute(self, sets: Comparison) -> dict[str, float]:
        return {self.name: float(len(sets.generated.digits.unique()))}


def confusion(labels: Tensor, digits: Tensor, num_classes: int) -> Tensor:
    """int64 [K, K]: how many images of each label (row) were read as each digit (column)."""
    return torch.bincount(labels * num_classes + digits, minlength=num_classes**2).view(num_classes, num_classes)
