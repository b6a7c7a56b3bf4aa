"""Directions of a generator: how a latent must move so that the digit leans, gets thicker, wider or larger.

They need neither labels nor the network's weights, so every generator has them, an ONNX file's too.
"""

from collections.abc import Mapping
from copy import copy
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from gan.config.bounds import DIRECTIONS, GENERATE
from gan.errors import UserError
from gan.images import quantize, unit
from gan.inference.arguments import number
from gan.inference.chunks import CHUNK, forward
from gan.randomness import latents

NUM_IMAGES = 4096
LEAST_SHARE = 0.02  # of a measure's variance, that the latents must explain
LEAST_DIFFERENCE = 0.1  # of the gradients of several measures: their least singular value over the largest
TINY = 1e-6


def check_directions(amounts: Any) -> dict[str, float]:
    """The amounts that are not zero; a UserError unless they are numbers by names of `DIRECTIONS`."""
    if amounts is None:
        return {}
    if not isinstance(amounts, Mapping) or not set(amounts) <= set(DIRECTIONS):
        known = ", ".join(DIRECTIONS)
        raise UserError(f"directions={amounts}: amounts of {known}, such as {{slant: 1.5, thickness: 1}}")
    given = {}
    for name, amount in amounts.items():
        key = f"directions.{name}"
        given[name] = number(GENERATE[key], key, amount)
    return {name: amount for name, amount in given.items() if amount}


class MovableLatents:
    """The part of `DigitGenerator` that moves latents along directions."""

    network: nn.Module
    latent_dim: int
    num_classes: int | None
    device: torch.device
    amounts: tuple[tuple[str, float], ...] = ()  # of the directions in which the latents are moved
    _shift: Tensor | None = None

    @cached_property
    def directions(self) -> dict[str, Tensor]:
        """Those of `find_directions`, found at the first use: a second or two on a CPU core."""
        return find_directions(self.network, self.latent_dim, self.num_classes, self.device)

    def direction(self, name: str) -> Tensor:
        """The shift of a latent for one of `DIRECTIONS`, float32 [latent_dim]; a UserError if there is none."""
        if name not in self.directions:
            raise UserError(f"direction {name}: the latents of this generator do not change it; train it for longer")
        return self.directions[name]

    def moved(self, directions: Mapping[str, float] | None) -> Self:
        """The same generator with moved latents: that of each image stays, and its digit leans, thickens or grows.

        Args:
            directions: how far, in standard deviations, such as {"slant": 1.5, "thickness": 1}; see
                `gan.inference.directions.find_directions`. Of an unconditional model the digit may change as well.

        Raises:
            UserError: an unknown direction, an amount out of bounds, or a direction that the generator lacks.
        """
        amounts = check_directions(directions)
        if not amounts:
            return self
        shifts = [amount * self.direction(name) for name, amount in amounts.items()]
        other = copy(self)
        other.amounts = (*self.amounts, *sorted(amounts.items()))
        other._shift = torch.stack(shifts if self._shift is None else [self._shift, *shifts]).sum(0)
        return other

    def _move(self, z: Tensor) -> Tensor:
        return z if self._shift is None else move(z, self._shift)


def move(z: Tensor, shift: Tensor) -> Tensor:
    """Latents float [N, D], shifted and then scaled to the length each had: other lengths are unlikely ones."""
    moved = z + shift
    return moved * (z.norm(dim=1) / moved.norm(dim=1).clamp_min(TINY)).unsqueeze(1)


@torch.inference_mode()
@torch.autocast("cpu", enabled=False)  # a caller's would change the measured shapes
def find_directions(
    network: nn.Module, latent_dim: int, num_classes: int | None, device: torch.device
) -> dict[str, Tensor]:
    """The shift of a latent for each of `DIRECTIONS` that the latents change: float32 [latent_dim] on the CPU.

    The shapes in many generated images are measured, and a linear regression on the images' latents says how each
    measure changes with the latent: for normal latents its mean gradient (Stein's lemma). A shift raises its measure by
    about one standard deviation of the images of a class; size raises width and height, the others leave the rest.
    """
    count = max(NUM_IMAGES, 8 * latent_dim)
    z = latents(0, 0, count, latent_dim)
    labels = torch.arange(count, device="cpu") % (num_classes or 1)
    images = [
        quantize(forward(network, part.to(device), of_part.to(device) if num_classes else None)).cpu()
        for part, of_part in zip(z.split(CHUNK), labels.split(CHUNK), strict=True)
    ]
    shapes = measure_shapes(torch.cat(images)).double()
    shapes = torch.cat([shapes, shapes[:, 2:].prod(1, keepdim=True).sqrt()], dim=1)  # size
    shapes = _without_class_means(shapes, labels)
    shapes = shapes / shapes.std(0).clamp_min(TINY)
    gradients = torch.linalg.lstsq(z.double(), shapes).solution.T
    explained = gradients.square().sum(1) - latent_dim / count  # less what chance explains
    gradients = gradients * (explained > LEAST_SHARE).unsqueeze(1)
    # Two measures of one thing have nearly the same gradient. They move together, without the little that differs.
    slant, thickness, width, height = torch.linalg.pinv(gradients[:4], rtol=LEAST_DIFFERENCE).T
    shifts, own = torch.stack([slant, thickness, width, width + height]), gradients[[0, 1, 2, 4]]
    shifts = shifts / (own * shifts).sum(1, keepdim=True).clamp_min(TINY)
    # Rounded, so that threads and devices, which add in other orders, find the same.
    shifts = shifts.float().round(decimals=4)
    return {name: shift for name, shift in zip(DIRECTIONS, shifts, strict=True) if shift.any()}


def measure_shapes(images: Tensor) -> Tensor:
    """Slant, thickness, width and height of what uint8 images [N, C, H, W] show, by moments of their ink: float [N, 4].

    In pixels: the slant to the right for each pixel up, twice the area of the strokes over the length of their outline,
    and the standard deviations of the upright digit's ink. An image without ink has zeros, one of several channels the
    mean over them.
    """
    ink = unit(images).flatten(0, 1)
    mass = ink.sum((1, 2)).clamp_min(TINY)
    by_row, by_column = ink.sum(2) / mass.unsqueeze(1), ink.sum(1) / mass.unsqueeze(1)
    y, x = (torch.arange(means.shape[1], device=means.device).float() for means in (by_row, by_column))
    y, x = y - (by_row @ y).unsqueeze(1), x - (by_column @ x).unsqueeze(1)
    xx, yy = (by_column * x.square()).sum(1), (by_row * y.square()).sum(1)
    slant = -torch.einsum("nyx,ny,nx->n", ink, y, x) / mass / yy.clamp_min(TINY)
    framed = pad(ink, (1, 1, 1, 1))
    outline = (framed.diff(dim=2)[:, :-1].square() + framed.diff(dim=1)[:, :, :-1].square()).sqrt().sum((1, 2))
    thickness = 2 * ink.sum((1, 2)) / outline.clamp_min(TINY)
    width = (xx - slant.square() * yy).clamp_min(0).sqrt()
    return torch.stack([slant, thickness, width, yy.sqrt()], dim=1).unflatten(0, images.shape[:2]).mean(1)


def _without_class_means(values: Tensor, labels: Tensor) -> Tensor:
    counts = torch.bincount(labels).unsqueeze(1)
    means = values.new_zeros(len(counts), values.shape[1]).index_add(0, labels, values) / counts
    return values - means[labels]
