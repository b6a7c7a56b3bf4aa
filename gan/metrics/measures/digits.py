"""Which digits the extractor's classifier reads in the images, and the measures of each class by itself."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from gan.metrics.bootstrap import Resamples
from gan.metrics.features import ImageFeatures
from gan.metrics.measures.base import Comparison, MeanMeasure, Measure
from gan.metrics.measures.distributions import Gaussian, frechet_distance, frechet_influence


class DigitAccuracy(MeanMeasure):
    """The share of images in which the requested digit is read, 0..1."""

    name = "digit_accuracy"
    values = {"digit_accuracy": "higher"}
    bounds = (0, 1)
    reads_digits = True
    needs_labels = True
    over_generated = True

    def enough(self, num_features: int, num_classes: int) -> tuple[int, int]:
        return 0, 100  # a share of fewer is uncertain by more than 0.05

    def of_each(self, sets: Comparison) -> dict[str, Tensor]:
        assert sets.generated.labels is not None  # the measure needs them
        return {self.name: sets.generated.digits == sets.generated.labels}


class _OfClasses(Measure):
    reads_digits = True

    def enough(self, num_features: int, num_classes: int) -> tuple[int, int]:
        return 0, 10 * num_classes  # else some classes are missing by chance


class ClassBalance(_OfClasses):
    """KL(p || uniform) = log K + sum p log p of the K classes' frequencies p, in nats: 0 when balanced, at most log K.

    With the 1,000 classes of StackedMNIST and 26,000 samples this is the KL of Srivastava et al. and Metz et al. 2017.
    """

    name = "class_balance"
    values = {"class_balance": "lower"}
    bounds = (0, math.inf)

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
    published_samples = {3: 26_000}

    def compute(self, sets: Comparison) -> dict[str, float]:
        return {self.name: float(len(sets.generated.digits.unique()))}


class ClassFrechetDistance(Measure):
    """The FID of each class between the images with its label; of a class with fewer than two images there is none.

    A class has a tenth of the images, so its FID is above that of all ten, for real images too: compare with the floor.
    """

    name = "class_fid"
    values = {f"fid_class_{label}": "lower" for label in range(10)}
    bounds = (0, math.inf)
    in_feature_space = True
    needs_labels = True
    num_classes = 10
    least_real = 2

    def enough(self, num_features: int, num_classes: int) -> tuple[int, int]:
        return 10 * (num_features + 1), 10 * (num_features + 1)

    def compute(self, sets: Comparison) -> dict[str, float]:
        return {key: frechet_distance(*gaussians) for key, gaussians, _ in self._of_each_class(sets)}

    def resampled(self, sets: Comparison, resamples: Resamples) -> dict[str, Tensor]:
        return {
            key: resamples.means(frechet_influence(*gaussians, features))
            for key, gaussians, features in self._of_each_class(sets)
        }

    def _of_each_class(self, sets: Comparison) -> Iterator[tuple[str, tuple[Gaussian, Gaussian], Tensor]]:
        real = {} if sets.real.labels is None else sets.real.once(_by_class, sets.real)
        for label, (gaussian, features) in sets.generated.once(_by_class, sets.generated).items():
            if label in real:
                yield f"fid_class_{label}", (real[label][0], gaussian), features


def _by_class(images: ImageFeatures) -> dict[int, tuple[Gaussian, Tensor]]:
    """The features of the images of each class that has two or more, and their mean and covariance."""
    assert images.labels is not None  # the measure needs them
    of_each = {label: images.features[images.labels == label] for label in images.labels.unique().tolist()}
    return {label: (Gaussian.of(features), features) for label, features in of_each.items() if len(features) > 1}


class ClassAccuracy(MeanMeasure):
    """The digit accuracy of each digit; of a digit without images there is none."""

    name = "class_accuracy"
    values = {f"accuracy_class_{digit}": "higher" for digit in range(10)}
    bounds = (0, 1)
    reads_digits = True
    needs_labels = True
    num_classes = 10

    def enough(self, num_features: int, num_classes: int) -> tuple[int, int]:
        return 0, 100 * num_classes

    def of_each(self, sets: Comparison) -> dict[str, Tensor]:
        digits, labels = sets.generated.digits, sets.generated.labels
        assert labels is not None  # the measure needs them
        return {f"accuracy_class_{label}": digits[labels == label] == label for label in labels.unique().tolist()}
