"""What is measured: the images of a generator, or given ones."""

from collections.abc import Iterable, Iterator
from typing import Literal, Protocol

import torch
from torch import Tensor

from gan.data.batches import spread
from gan.inference import DigitGenerator
from gan.metrics.measures.base import LabeledImages
from gan.randomness import derive_seed

Labels = Literal["real", "even"]
Batches = Iterable[tuple[Tensor, Tensor | None]]
CHUNK = 500
SHOWN = 200


class ImageSet(Protocol):
    """A column of the table.

    Attributes:
        name: of the column.
        labeled: whether each image has a label.
    """

    name: str
    labeled: bool

    def samples(self, count: int, repeat: int) -> Batches:
        """`count` images of a repeat, with labels or None, in batches."""

    def num_examples(self, count: int) -> int:
        """How many images `examples(count, ...)` has."""

    def examples(self, count: int, repeat: int) -> LabeledImages:
        """Up to `count` images of a repeat to train on; only of a labeled set."""

    def shown(self) -> tuple[Tensor, Tensor | None]:
        """Some images for the pictures, and their labels."""


class GeneratedSet:
    """The images of a generator.

    Args:
        labels: those that a conditional model generates, again from the first when there are fewer, and each class in
            its share of them when there are more; None: 0 to 9 in turn.
        seed: of the first repeat.
    """

    def __init__(self, name: str, generator: DigitGenerator, labels: Tensor | None, seed: int) -> None:
        self.name, self.generator, self.seed = name, generator, seed
        self.labeled = generator.num_classes is not None
        self.labels = labels if self.labeled else None

    def samples(self, count: int, repeat: int) -> Batches:
        start, digits = 0, self._digits(count)
        for images in self.generator.stream(count, digits, seed=self.seed + repeat):
            yield images, self.generator.labels(digits, start, start + len(images))
            start += len(images)

    def _digits(self, count: int) -> list[int] | None:
        if self.labels is None:
            return None
        if count < len(self.labels):  # the first ones have other shares of the classes
            return self.labels[spread(self.labels, torch.Generator().manual_seed(derive_seed(self.seed)))].tolist()
        return self.labels.tolist()

    def num_examples(self, count: int) -> int:
        return count

    def examples(self, count: int, repeat: int) -> LabeledImages:
        """Each digit equally often, as `gan generate digits=all` generates them."""
        images = self.generator.generate(count, seed=self.seed + repeat)
        labels = self.generator.labels(None, 0, count)
        assert labels is not None  # the set is labeled
        return LabeledImages(images, labels)

    def shown(self) -> tuple[Tensor, Tensor | None]:
        return self.generator.generate(SHOWN, seed=self.seed), self.generator.labels(None, 0, SHOWN)


class GivenSet:
    """Images that there are already: each repeat has others of them, chosen at random by the seed.

    Where labels are known, every choice has each class as often as all images have. Else chance would decide the shares
    of the classes, on which a distance depends much.

    Args:
        images: uint8 [N, C, 28, 28].
        labels: int64 [N], or None.
    """

    def __init__(self, name: str, images: Tensor, labels: Tensor | None, seed: int) -> None:
        self.name, self.images, self.labels = name, images, labels
        self.labeled = labels is not None
        generator = torch.Generator().manual_seed(derive_seed(seed))
        self.order = torch.randperm(len(images), generator=generator)
        if labels is not None:
            self.order = self.order[spread(labels[self.order], generator)]

    def samples(self, count: int, repeat: int) -> Batches:
        for chosen in self._part(count, repeat).split(CHUNK):
            yield self.images[chosen], None if self.labels is None else self.labels[chosen]

    def num_examples(self, count: int) -> int:
        return min(count, len(self.images))

    def examples(self, count: int, repeat: int) -> LabeledImages:
        """Other images for each repeat only if there are enough."""
        chosen = self._part(count, repeat if (repeat + 1) * count <= len(self.images) else 0)
        assert self.labels is not None  # the set is labeled
        return LabeledImages(self.images[chosen], self.labels[chosen])

    def shown(self) -> tuple[Tensor, Tensor | None]:
        """Twenty of each class, or the first ones where there are no labels."""
        if self.labels is None:
            return self.images[self.order[:SHOWN]], None
        ordered = self.labels[self.order]
        classes = ordered.unique()
        of_each = [self.order[ordered == label][: SHOWN // len(classes) + 1] for label in classes]
        chosen = torch.cat(of_each)
        chosen = chosen[torch.randperm(len(chosen), generator=torch.Generator().manual_seed(0))]
        return self.images[chosen], self.labels[chosen]

    def _part(self, count: int, repeat: int) -> Tensor:
        return self.order[repeat * count : (repeat + 1) * count]


def batches(images: Tensor, labels: Tensor | None) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Real images with their labels, None where these have no meaning."""
    parts = images.split(CHUNK)
    return zip(parts, [None] * len(parts) if labels is None else labels.split(CHUNK), strict=True)
