"""What is measured: the images of a generator, or given ones."""

import logging
import sys
from collections.abc import Iterable
from functools import cached_property
from typing import Literal, get_args

import torch
from omegaconf import DictConfig
from torch import Tensor

from gan.data import MNISTDataModule
from gan.data.batches import spread
from gan.inference import DigitGenerator
from gan.metrics.measures.base import LabeledImages
from gan.randomness import derive_seed, shuffled

Labels = Literal["real", "even"]
LABELS = get_args(Labels)
Batches = Iterable[tuple[Tensor, Tensor | None]]
CHUNK = 500
SHOWN = 200

log = logging.getLogger("gan")


class GeneratedSet:
    """The images of a generator; a conditional one makes those of the labels, or 0 to 9 in turn where they are None."""

    size = sys.maxsize

    def __init__(self, name: str, generator: DigitGenerator, labels: Tensor | None, seed: int) -> None:
        self.name, self.generator, self.seed = name, generator, seed
        self.labeled = generator.num_classes is not None
        self.labels = labels if self.labeled else None

    def samples(self, count: int, repeat: int) -> Batches:
        """`count` images of a repeat, with labels or None, in batches."""
        start, digits = 0, self._digits(count)
        for images in self.generator.stream(count, digits, seed=self.seed + repeat):
            yield images, self.generator.labels(digits, start, start + len(images))
            start += len(images)

    def _digits(self, count: int) -> list[int] | None:
        if self.labels is None:
            return None
        if count < len(self.labels):  # the first labels have other shares of the classes
            return self.labels[spread(self.labels, torch.Generator().manual_seed(derive_seed(self.seed)))].tolist()
        return self.labels.tolist()

    def examples(self, count: int, repeat: int) -> LabeledImages:
        """Images of a repeat to train on, each digit equally often, as `gan generate digits=all` generates them."""
        images = self.generator.generate(count, seed=self.seed + repeat)
        labels = self.generator.labels(None, 0, count)
        assert labels is not None  # the set is labeled
        return LabeledImages(images, labels)

    def shown(self) -> tuple[Tensor, Tensor | None]:
        """Some images for the pictures, and their labels."""
        return self.generator.generate(SHOWN, seed=self.seed), self.generator.labels(None, 0, SHOWN)


class GivenSet:
    """Given images uint8 [N, C, 28, 28]: each repeat has others of them, chosen at random by the seed.

    Where labels are known, each repeat has the class proportions of all images, on which a distance depends much.
    """

    def __init__(self, name: str, images: Tensor, labels: Tensor | None, seed: int) -> None:
        self.name, self.images, self.labels, self.size = name, images, labels, len(images)
        self.labeled, self.seed = labels is not None, seed

    @cached_property
    def order(self) -> Tensor:
        return random_order(len(self.images), self.labels, self.seed)

    def samples(self, count: int, repeat: int) -> Batches:
        for chosen in self._part(count, repeat).split(CHUNK):
            yield self.images[chosen], None if self.labels is None else self.labels[chosen]

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
        chosen = torch.cat([self.order[ordered == label][: SHOWN // len(classes) + 1] for label in classes])
        chosen = chosen[shuffled(len(chosen), seed=0)]
        return self.images[chosen], self.labels[chosen]

    def _part(self, count: int, repeat: int) -> Tensor:
        return self.order[repeat * count : (repeat + 1) * count]


class Floor(GivenSet):
    """Real training images, a part for each repeat, in the data's class proportions or each class equally often.

    A part has as many images as are generated. No image is in two parts: where there are too few, there are fewer
    parts. In a part smaller than the set of real images each class has exactly its share: chance could be far off.
    """

    def __init__(self, data: MNISTDataModule, kind: Labels, num_real: int, cfg: DictConfig) -> None:
        super().__init__("floor", data.train_images, data.train_labels if data.source.num_classes else None, cfg.seed)
        labels = data.train_labels
        order = random_order(len(self.images), labels if cfg.num_samples < num_real else None, cfg.seed)
        pools = [order] if kind == "real" else [order[labels[order] == label] for label in labels.unique()]
        each = -(-cfg.num_samples // len(pools))
        num_parts = max(1, min(cfg.repeats, *(len(pool) // each for pool in pools)))
        pools = [pool[: num_parts * each] for pool in pools]
        # The first of each pool, then the second of each, and so on
        in_turn = torch.cat([torch.arange(len(pool)) for pool in pools]).argsort(stable=True)
        self.parts = [part[: cfg.num_samples] for part in torch.cat(pools)[in_turn].split(each * len(pools))]
        if len(self.parts[0]) < cfg.num_samples:
            log.warning("the floor is of %d images, not %d: there are no more", len(self.parts[0]), cfg.num_samples)

    def _part(self, count: int, repeat: int) -> Tensor:
        return self.parts[repeat]


def random_order(count: int, labels: Tensor | None, seed: int) -> Tensor:
    """Indices of images in an order that the seed chooses; with labels, each part of it has each class in its share."""
    generator = torch.Generator().manual_seed(derive_seed(seed))
    order = torch.randperm(count, generator=generator)
    return order if labels is None else order[spread(labels[order], generator)]


ImageSet = GeneratedSet | GivenSet
