"""A network always runs on chunks of one size, so that an image does not depend on the others generated with it."""

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from gan.images import quantize
from gan.inference.class_mixing import mix_classes

CHUNK = 256


def chunks(start: int, stop: int, size: int = CHUNK) -> Iterator[tuple[int, int]]:
    """Splits the range start..stop-1 at the multiples of `size` into pairs (first, end)."""
    return itertools.pairwise([start, *range(start // size * size + size, stop, size), stop])


def generate_in_chunks(
    network: nn.Module, latents: Tensor, labels: Tensor | None, size: int, device: torch.device
) -> Tensor:
    """The images of latents. The last chunk is padded with zeros.

    Args:
        network: a generator on `device`.
        latents: float [N, latent_dim].
        labels: int64 [N], or float [N, num_classes] with the share of each class, or None.
        size: images in a chunk.

    Returns:
        uint8 [N, C, 28, 28] on the CPU.
    """
    label_chunks = itertools.repeat(None) if labels is None else labels.split(size)
    pairs = zip(latents.split(size), label_chunks, strict=False)
    return torch.cat([_generate_chunk(network, *pair, size, device) for pair in pairs])


def _generate_chunk(
    network: nn.Module, latents: Tensor, labels: Tensor | None, size: int, device: torch.device
) -> Tensor:
    count, missing = len(latents), size - len(latents)
    latents = pad(latents, (0, 0, 0, missing)).to(device)
    if labels is not None:
        labels = pad(labels, (0, 0) * (labels.dim() - 1) + (0, missing)).to(device)
    mixed = labels is not None and labels.is_floating_point()
    images = mix_classes(network, latents, labels) if mixed else network(latents, labels)
    return quantize(images)[:count].cpu()
