"""Gradient penalties on the discriminator, as pure functions.

Each takes the discriminator, real and generated images float [N, C, H, W] in [-1, 1], and their labels (int64 [N], or
None), and returns a float scalar that `GAN` multiplies by its weight. Gradients are taken in float32.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gan.config.allowed import COUNT, Number
from gan.config.targets import locate, require_arguments
from gan.errors import UserError

INPUTS = ("discriminator", "real", "real_labels", "fake", "fake_labels")  # of each penalty


def _squared_norms(discriminator: nn.Module, images: Tensor, labels: Tensor | None) -> Tensor:
    """Squared L2 norms of d D(x) / dx, float [N]; they can be differentiated again."""
    judge = getattr(discriminator, "forward", discriminator)  # not compiled: that has no second derivative
    with torch.autocast(images.device.type, enabled=False):
        images = images.detach().float().requires_grad_(True)
        (gradients,) = torch.autograd.grad(judge(images, labels).sum(), images, create_graph=True)
        return gradients.square().flatten(1).sum(1)


def r1(
    discriminator: nn.Module, real: Tensor, real_labels: Tensor | None, fake: Tensor, fake_labels: Tensor | None
) -> Tensor:
    """E[|grad D(x)|^2] / 2 on real images (Mescheder et al. 2018, arXiv:1801.04406, equation 9)."""
    return _squared_norms(discriminator, real, real_labels).mean() / 2


def r2(
    discriminator: nn.Module, real: Tensor, real_labels: Tensor | None, fake: Tensor, fake_labels: Tensor | None
) -> Tensor:
    """E[|grad D(G(z))|^2] / 2 on generated images (Mescheder et al. 2018, arXiv:1801.04406, equation 10)."""
    return _squared_norms(discriminator, fake, fake_labels).mean() / 2


def wgan_gp(
    discriminator: nn.Module, real: Tensor, real_labels: Tensor | None, fake: Tensor, fake_labels: Tensor | None
) -> Tensor:
    """E[(|grad D(u)| - 1)^2], u uniform between pairs (Gulrajani et al. 2017, arXiv:1704.00028, equation 3).

    A conditional discriminator is conditioned on the labels of the real images.
    """
    position = torch.rand(len(real), 1, 1, 1, device=real.device, dtype=real.dtype)
    mixed = torch.lerp(real, fake.to(real.dtype), position)  # bfloat16 under autocast
    norms = _squared_norms(discriminator, mixed, real_labels).clamp_min(1e-12).sqrt()
    return (norms - 1).square().mean()


class Penalty(NamedTuple):
    """A penalty in use: its strength, and the discriminator steps from one use to the next."""

    function: Callable[..., Tensor]
    weight: float
    every: int


def build_penalties(specs: Mapping[str, Mapping[str, Any]] | None, trust: Sequence[str]) -> list[Penalty]:
    """The penalties whose `weight` is not zero.

    Args:
        specs: by name, a function of this module as `_target_`, its `weight` (default 1; 0: off), and `every`, the
            discriminator steps from one use to the next (default 1), by which the weight is multiplied.
        trust: packages of the user's that the function may come from.

    Raises:
        UserError: a negative weight, an interval below one, or a function that may not be called.
    """
    if not isinstance(specs or {}, Mapping):
        raise UserError(f"model.penalties={specs}: {{name: {{_target_: ..., weight: 1.0, every: 1}}}}")
    penalties = []
    for name, spec in (specs or {}).items():
        key = f"model.penalties.{name}"
        if not (isinstance(spec, Mapping) and "_target_" in spec):
            raise UserError(f"{key}={spec}: {{_target_: ..., weight: 1.0, every: 1}}, and what else that takes")
        options = {option: value for option, value in spec.items() if option not in ("_target_", "weight", "every")}
        weight, every = spec.get("weight", 1.0), spec.get("every", 1)
        Number(least=0).require(f"{key}.weight", weight)
        COUNT.require(f"{key}.every", every)
        function = locate(spec["_target_"], key, ["gan.penalties"], trust)
        require_arguments(function, key, options, *INPUTS)
        if weight:
            penalties.append(Penalty(partial(function, **options), weight, every))
    return penalties
