"""Splits and batches by indexing one tensor that holds all images: no loader, no workers, no per-image Python."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from gan.errors import UserError
from gan.randomness import derive_seed

Batch = tuple[Tensor, Tensor]
SPLIT_SEED = 28


def required_batch(batch: object, channels: int, num_classes: int | None) -> Batch:
    """The images and labels of a batch; a UserError where a step cannot take them: a user's own loader gives anything.

    Values of labels are read on the CPU alone: a GPU would be waited for.
    """
    gave = "the training loader gave"
    match batch:
        case (Tensor() as images, Tensor() as labels):
            pass
        case _:
            raise UserError(f"{gave} a {type(batch).__name__}; a batch is two tensors, (images, labels)")
    if images.dtype != torch.uint8:
        raise UserError(f"{gave} images of {images.dtype}; they must be uint8 in 0..255")
    if tuple(images.shape[1:]) != (channels, 28, 28) or not len(images):
        raise UserError(f"{gave} images {list(images.shape)}; they must be [N, {channels}, 28, 28]")
    if labels.shape[:1] != images.shape[:1]:
        raise UserError(f"{gave} labels {list(labels.shape)} of {len(images)} images; each image has one")
    if num_classes is None:
        return images, labels
    if labels.dtype not in (torch.int64, torch.int32) or labels.shape != images.shape[:1]:
        raise UserError(f"{gave} labels {list(labels.shape)} of {labels.dtype}; they must be int64 [{len(images)}]")
    if labels.device.type == "cpu" and ((labels < 0) | (labels >= num_classes)).any():
        raise UserError(f"{gave} labels of {labels.min()} to {labels.max()}; they must be 0..{num_classes - 1}")
    return images, labels


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
        self.epoch, self._begun = 0, (0, batch_size, world_size)
        self.steps_from: Callable[[int], int] = lambda position: 1

    @property
    def sampler(self) -> "TrainingBatches":
        """Lightning calls `set_epoch` of a loader's sampler."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of the next iteration."""
        if self.reshuffle:
            self.epoch = epoch

    def skip(self, images: int, batch_size: int, world_size: int) -> None:
        """Leaves out of the next iteration the `images` that one of these batches has done, on all ranks together."""
        self._begun = images, batch_size, world_size

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Batch]:
        # A generator's body starts with its first batch: Lightning makes the iterator before it sets the epoch.
        done, *begun_with = self._begun
        self._begun = 0, self.batch_size, self.world_size
        order = self._order(*begun_with)[done:]
        position = self.length - len(order) // (self.batch_size * self.world_size)
        mine = order[self.rank :: self.world_size].to(self.images.device)
        start = 0
        while position < self.length:
            steps = min(self.steps_from(position), self.length - position)
            index = mine[start : start + steps * self.batch_size]
            position, start = position + steps, start + len(index)
            images = self._rows.index_select(0, index).view(torch.uint8)
            yield images.view(-1, *self.images.shape[1:]), self.labels[index]

    def _order(self, batch_size: int, world_size: int) -> Tensor:
        """The images of the epoch, int64 [images_per_epoch]: rank r has each `world_size`-th of them, from r on."""
        generator = torch.Generator().manual_seed(derive_seed(self.seed, self.epoch))
        permutations = math.ceil(self.images_per_epoch / len(self.images))
        order = torch.cat([torch.randperm(len(self.images), generator=generator) for _ in range(permutations)])
        order = order[: self.images_per_epoch]
        if not self.stratified:
            return order
        used = len(order) // (batch_size * world_size) * batch_size
        state, shares = generator.get_state(), []
        for rank in range(world_size):
            share = order[rank::world_size][:used]
            generator.set_state(state)
            shares.append(share[spread(self.labels.cpu()[share], generator)])
        return torch.cat([torch.stack(shares, dim=1).flatten(), order[used * world_size :]])


def spread(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Indices int64 [N] that reorder labels int64 [N]: those of a class keep their order and are equally far apart."""
    places = torch.empty(len(labels), dtype=torch.float64)
    for label in labels.unique():
        own = torch.nonzero(labels == label)[:, 0]
        places[own] = (torch.arange(len(own)) + torch.rand(1, generator=generator, dtype=torch.float64)) / len(own)
    return places.argsort(stable=True)


class EvaluationBatches:
    """All images once, in their order, in batches of at most `batch_size`. With one rank, batches are views.

    Ranks have different images and the same number of batches: in DDP each forward pass exchanges buffers, so one rank
    with an extra batch would wait forever. The batches of a rank differ in size by at most one. Arguments are those of
    `TrainingBatches`; `world_size` is at most N.
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


def stratified_split(labels: Tensor, held_out: int) -> tuple[Tensor, Tensor]:
    """Indices to keep, ascending, and `held_out` others, in random order; a function of the labels int64 [N] alone.

    Each class differs from its exact share by less than one image.
    """
    # numpy guarantees that RandomState's numbers never change. Those of newer generators and of torch may.
    order = np.random.RandomState(SPLIT_SEED).permutation(len(labels))
    _, classes, counts = np.unique(labels.numpy()[order], return_inverse=True, return_counts=True)
    shares = counts * held_out / len(labels)
    quotas = np.floor(shares).astype(np.int64)
    quotas[np.argsort(quotas - shares, kind="stable")[: held_out - quotas.sum()]] += 1

    by_class = np.argsort(classes, kind="stable")
    place_in_class = np.empty_like(by_class)
    place_in_class[by_class] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    out = place_in_class < quotas[classes]
    return torch.from_numpy(np.sort(order[~out])).long(), torch.from_numpy(order[out]).long()
