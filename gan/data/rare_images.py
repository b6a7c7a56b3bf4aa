"""Which training images are rare forms of their class: a 7 with a bar, a 1 with a foot."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

NEIGHBOUR = 5
CHUNK = 1024


def rare_images(images: Tensor, labels: Tensor, share: float) -> Tensor:
    """Indices of a share of each class: the images farthest from their fifth nearest neighbour in the class.

    Distances are Euclidean, between images of half the width and height. They are exact whole numbers, so that each
    machine and each number of threads finds the same images.

    Args:
        images: uint8 [N, C, 28, 28].
        labels: int64 [N].
        share: 0..1.
    """
    found = []
    for label in labels.unique():
        own = torch.nonzero(labels == label)[:, 0]
        pixels = avg_pool2d(images[own].double(), 2, divisor_override=1).flatten(1)
        order = _isolation(pixels).argsort(descending=True, stable=True)
        found.append(own[order[: int(share * len(own))]])
    return torch.cat(found)


def _isolation(pixels: Tensor) -> Tensor:
    """The squared distance of each row to its fifth nearest other one, or to the farthest of fewer."""
    norms, count = pixels.square().sum(1), min(NEIGHBOUR + 1, len(pixels))
    distances = [
        torch.addmm(norms, part, pixels.T, alpha=-2).topk(count, largest=False).values[:, -1]
        for part in pixels.split(CHUNK)
    ]
    return torch.cat(distances) + norms
