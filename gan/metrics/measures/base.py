"""What a measure declares, and the sets of images it is given."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from gan.metrics.bootstrap import Resamples
from gan.metrics.features import ImageFeatures

Direction = Literal["lower", "higher"]
ARROWS: Mapping[str | None, str] = {"lower": " ↓", "higher": " ↑", None: ""}


@dataclass(frozen=True, eq=False)
class LabeledImages:
    """Images uint8 [N, C, 28, 28] and their labels int64 [N], on the CPU."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, eq=False)
class Pixels:
    """The images themselves, for a measure that trains a network on them, with the seed of that.

    `generated` is None where the training images stand in for them, as in the floor. `real` are held out. `name` is
    that of the set, for a progress bar.
    """

    generated: LabeledImages | None
    training: LabeledImages
    real: LabeledImages
    seed: int
    name: str


@dataclass(frozen=True)
class Comparison:
    """Generated images and what they are compared with.

    `real` are held-out real images, `training` those the model was trained on. Each may be empty. `seed` is for random
    draws: a measure draws none from the global generator. `pixels` are None where only features are kept.
    """

    real: ImageFeatures
    generated: ImageFeatures
    training: ImageFeatures
    seed: int
    pixels: Pixels | None = None


class Measure(ABC):
    """One measure of generated images: its name, its values, what it needs, and how it is computed.

    Tensors stay on the extractor's device, so a measure creates its own tensors there too.

    Attributes:
        name: by which `metrics.measures` selects it.
        values: what `compute` returns, by key, and which direction is better. None means neither: an estimate's spread,
            or a value that should be close to that of real images.
        bounds: the least and the largest number that the values can be; intervals end there.
        in_feature_space: whether the values depend on the extractor's features or logits as such. Their metric names
            then end in the extractor's name: `val/fid_mnist`, but `val/digit_accuracy`.
        reads_digits: whether the extractor must classify digits.
        needs_labels: whether each generated image must have the label it was generated for.
        needs_training: whether it compares with the training images.
        needs_pixels: whether it uses `Comparison.pixels`, which `gan evaluate` gives and a validation does not.
        only_by_name: whether it is taken only where `metrics.measures` names it, since it takes long.
        num_pixels: how many generated images should be among them.
        num_classes: how many classes the data must have; None: any number.
        least_real, least_generated: the smallest numbers of images it can be computed from.
        published_samples: by number of image channels, how many generated images published values are measured on.
    """

    name: ClassVar[str] = ""
    values: ClassVar[Mapping[str, Direction | None]] = {}
    bounds: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    in_feature_space: ClassVar[bool] = False
    reads_digits: ClassVar[bool] = False
    needs_labels: ClassVar[bool] = False
    needs_training: ClassVar[bool] = False
    needs_pixels: ClassVar[bool] = False
    only_by_name: ClassVar[bool] = False
    num_classes: ClassVar[int | None] = None
    num_pixels: int = 0
    least_real: int = 0
    least_generated: int = 1
    published_samples: ClassVar[Mapping[int, int]] = {}

    @abstractmethod
    def compute(self, sets: Comparison) -> dict[str, float]:
        """The values by key, none of them NaN; called only where the sets hold what the measure needs."""

    def resampled(self, sets: Comparison, resamples: Resamples) -> dict[str, Tensor]:
        """The values of each resample by key, float64 [R] on the CPU, up to a constant; for confidence intervals.

        A value that is not among them has no interval. Called after `compute`.
        """
        return {}

    def cost(self, generated: Sequence[int], floors: Sequence[Pixels], device: torch.device) -> str | None:
        """What a measure that takes minutes will cost, in a line that is logged before anything starts.

        `generated` are the numbers of images in each set that has labels, `floors` the real images measured for the
        floor, and `device` is the extractor's.
        """
        return None

    def too_few(self, num_real: int, num_generated: int) -> str | None:
        """The error text when this measure needs more images than that; None when it does not."""
        if num_real >= self.least_real and num_generated >= self.least_generated:
            return None
        given = (("real", self.least_real, num_real), ("generated", self.least_generated, num_generated))
        needed = [(kind, least, found) for kind, least, found in given if least > 1 or found < least]
        takes = " and ".join(f"{least:,} {kind}" for kind, least, _ in needed)
        return f"{self.name} takes at least {takes} images, not {' and '.join(f'{found:,}' for *_, found in needed)}"

    def enough(self, num_features: int, num_classes: int) -> tuple[int, int]:
        """Numbers of real and of generated images from which the values say something about the model."""
        return self.least_real, self.least_generated

    def unreliable(self, sets: Comparison) -> str | None:
        """The warning when the values can be computed, but of too few images to say much; None otherwise."""
        given = (len(sets.real), len(sets.generated))
        enough = self.enough(sets.generated.features.shape[1], sets.generated.logits.shape[1])
        kinds = zip(("real", "generated"), given, enough, strict=True)
        few = [f"{found:,} of {least:,} {kind} images" for kind, found, least in kinds if found < least]
        return f"{self.name} ({', '.join(few)})" if few else None

    def missing(self, sets: Comparison) -> str | None:
        """What the sets lack for this measure, as one line; None when it can be computed."""
        if few := self.too_few(len(sets.real), len(sets.generated)):
            return few
        given = {"real": sets.real, "generated": sets.generated, "training": sets.training}
        if wrong := [kind for kind, images in given.items() if not images.finite]:
            return f"{self.name}: the extractor's features or logits of {' and '.join(wrong)} images are not finite"
        if self.needs_labels and sets.generated.labels is None:
            return f"{self.name} needs the labels the images were generated for, and there are none"
        if self.needs_training and not len(sets.training):
            return f"{self.name} needs the training images, and there are none"
        if self.needs_pixels and sets.pixels is None:
            return f"{self.name} needs the images themselves; `gan evaluate` measures it"
        if self.num_classes and sets.generated.labels is not None and sets.generated.labels.max() >= self.num_classes:
            return f"{self.name} is of {self.num_classes} classes, and there are more"
        return None


class MeanMeasure(Measure):
    """A measure whose values are means over images: over all generated ones if `over_generated`, else over others."""

    over_generated: ClassVar[bool] = False

    @abstractmethod
    def of_each(self, sets: Comparison) -> dict[str, Tensor]:
        """By key, what the value is the mean of: bool or float64 [N]."""

    def compute(self, sets: Comparison) -> dict[str, float]:
        return {key: rows.double().mean().item() for key, rows in self.of_each(sets).items()}

    def resampled(self, sets: Comparison, resamples: Resamples) -> dict[str, Tensor]:
        means = resamples.generated_means if self.over_generated else resamples.means
        return {key: means(rows) for key, rows in self.of_each(sets).items()}
