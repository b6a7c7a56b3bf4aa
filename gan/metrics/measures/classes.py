"""The measures of each class by itself: which digit a model generates worst."""

import math
from collections.abc import Iterator

from torch import Tensor

from gan.metrics.bootstrap import Resamples
from gan.metrics.features import ImageFeatures
from gan.metrics.measures.base import Comparison, Measure
from gan.metrics.measures.digits import correct
from gan.metrics.measures.distributions import Gaussian, frechet_distance, frechet_influence


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


class ClassAccuracy(Measure):
    """The digit accuracy of each digit; of a digit without images there is none."""

    name = "class_accuracy"
    values = {f"accuracy_class_{digit}": "higher" for digit in range(10)}
    bounds = (0, 1)
    reads_digits = True
    needs_labels = True
    num_classes = 10

    def enough(self, num_features: int, num_classes: int) -> tuple[int, int]:
        return 0, 100 * num_classes

    def compute(self, sets: Comparison) -> dict[str, float]:
        return {key: shares.mean().item() for key, shares in self._of_each_digit(sets)}

    def resampled(self, sets: Comparison, resamples: Resamples) -> dict[str, Tensor]:
        return {key: resamples.means(shares) for key, shares in self._of_each_digit(sets)}

    def _of_each_digit(self, sets: Comparison) -> Iterator[tuple[str, Tensor]]:
        labels, shares = sets.generated.labels, correct(sets)
        assert labels is not None  # the measure needs them
        for digit in labels.unique().tolist():
            yield f"accuracy_class_{digit}", shares[labels == digit]
