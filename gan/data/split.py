"""The split into training and validation images: the same for everyone."""

import numpy as np
import torch
from torch import Tensor

SPLIT_SEED = 28


def stratified_split(labels: Tensor, held_out: int) -> tuple[Tensor, Tensor]:
    """Indices to keep, ascending, and indices to hold out, in random order, with the same share of each class.

    The split depends only on the labels and on `held_out`.

    Args:
        labels: int64 [N].
        held_out: number of images to hold out, 0..N. Each class differs from its exact share by less than one image.
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
