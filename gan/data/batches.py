"""Batches by indexing one tensor that holds all images: no loader, no workers, no per-image Python."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from gan.randomness import derive_seed

Batch = tuple[Tensor, Tensor]


class TrainingBatches:
    """One epoch of shuffled batches (images, labels), on the device the images are on.

    An item is one batch, or several joined into one, as many as `steps_from` says for the batch it starts with.

    The order is a permutation from (seed, epoch), sharded over the ranks. Each image comes once an epoch, and each rank
    has the same number of batches. A last, smaller batch is dropped; its images differ from epoch to epoch.

    Args:
        images: uint8 [N, C, 28, 28].
        labels: int64 [N].
        batch_size: of one rank.
        rank: of this process, of `world_size`.
        images_per_epoch: images of an epoch on all ranks together, the first ones of its permutation. A smaller data
            set repeats, in a new permutation each time. None is the whole data set once.
        reshuffle: whether each epoch has an order of its own.
        stratified: whether each class is spread evenly over the epoch, so that each batch has its share of each class.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        images_per_epoch: int | None = None,
        reshuffle: bool = True,
        stratified: bool = False,
    ) -> None:
        self.images, self.labels = images, labels
        # Indexing rows of eight-byte words is several times faster than indexing bytes; 784 is a multiple of 8.
        self._rows = images.flatten(1).contiguous().view(torch.int64)
        self.batch_size, self.seed = batch_size, seed
        self.rank, self.world_size = rank, world_size
        self.images_per_epoch = images_per_epoch or len(images)
        self.length = self.images_per_epoch // world_size // batch_size
        self.reshuffle, self.stratified = reshuffle, stratified
        self.epoch, self._first = 0, 0
        self.steps_from: Callable[[int], int] = lambda position: 1

    @property
    def sampler(self) -> "TrainingBatches":
        """Lightning calls `set_epoch` of a loader's sampler."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of the next iteration."""
        if self.reshuffle:
            self.epoch = epoch

    def skip(self, batches: int) -> None:
        """Leaves the first `batches` batches out of the next iteration."""
        self._first = batches

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Batch]:
        # A generator's body starts with its first batch: Lightning makes the iterator before it sets the epoch.
        generator = torch.Generator().manual_seed(derive_seed(self.seed, self.epoch))
        permutations = math.ceil(self.images_per_epoch / len(self.images))
        order = torch.cat([torch.randperm(len(self.images), generator=generator) for _ in range(permutations)])
        mine = order[self.rank :: self.world_size][: self.length * self.batch_size]
        if self.stratified:
            mine = mine[spread(self.labels.cpu()[mine], generator)]
        mine = mine.to(self.images.device)
        position, self._first = self._first, 0
        while position < self.length:
            index = mine[position * self.batch_size :][: self.steps_from(position) * self.batch_size]
            position += len(index) // self.batch_size
            images = self._rows.index_select(0, index).view(torch.uint8)
            yield images.view(-1, *self.images.shape[1:]), self.labels[index]


def spread(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Indices int64 [N] that reorder labels int64 [N] so that those of each class are equally far apart.

    The order within a class stays; the generator draws the position of its first label.
    """
    places = torch.empty(len(labels), dtype=torch.float64)
    for label in labels.unique():
        own = torch.nonzero(labels == label)[:, 0]
        places[own] = (torch.arange(len(own)) + torch.rand(1, generator=generator, dtype=torch.float64)) / len(own)
    return places.argsort(stable=True)


class EvaluationBatches:
    """All images once, in their order, in batches of at most `batch_size`. With one rank, batches are views.

    Ranks have different images and the same number of batches: in DDP each forward pass exchanges buffers, so one rank
    with an extra batch would wait forever. The batches of a rank differ in size by at most one.

    Arguments as for `TrainingBatches`; `world_size` is at most N.
    """

    def __init__(self, images: Tensor, labels: Tensor, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        self.images, self.labels = images[rank::world_size], labels[rank::world_size]
        largest, smallest = math.ceil(len(images) / world_size), len(images) // world_size
        # At most one batch for each image: with batches of one image, ranks of uneven size would have more.
        self.length = min(math.ceil(largest / batch_size), smallest)

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Batch]:
        return zip(self.images.tensor_split(self.length), self.labels.tensor_split(self.length), strict=True)
