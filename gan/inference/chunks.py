"""A network always runs on chunks of one size, so that an image is the same whatever else is drawn beside it."""

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from gan.images import quantize
from gan.inference.mixing import mix_classes

CHUNK = 256


def chunks(start: int, stop: int, size: int = CHUNK) -> Iterator[tuple[int, int]]:
    """(first, end) of the pieces of start..stop-1, cut at the multiples of a size."""
    return itertools.pairwise([start, *range(start // size * size + size, stop, size), stop])


def draw_in_chunks(network: nn.Module, z: Tensor, labels: Tensor | None, size: int, device: torch.device) -> Tensor:
    """Images of latents, the last chunk filled up with zeros.

    Args:
        network: on the device.
        z: float [N, latent_dim].
        labels: int64 [N], or float [N, num_classes] for mixes of classes, or None.
        size: of a chunk.

    Returns:
        uint8 [N, C, 28, 28] on the CPU.
    """
    given = itertools.repeat(None) if labels is None else labels.split(size)
    return torch.cat([_drawn(network, *part, size, device) for part in zip(z.split(size), given, strict=False)])


def _drawn(network: nn.Module, z: Tensor, labels: Tensor | None, size: int, device: torch.device) -> Tensor:
    missing = size - len(z)
    latents = pad(z, (0, 0, 0, missing)).to(device)
    if labels is not None:
        labels = pad(labels, (0, 0) * (labels.dim() - 1) + (0, missing)).to(device)
    mixed = labels is not None and labels.is_floating_point()
    images = mix_classes(network, latents, labels) if mixed else network(latents, labels)
    return quantize(images)[: len(z)].cpu()
