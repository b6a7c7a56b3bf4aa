"""The exponential moving average of a network's weights."""

import torch
from torch import nn


def ema_decay(images: float, half_life: float) -> float:
    """What is left of the average after `images` images: 0.5 ** (images / half_life); 0 for a half-life of 0.

    Source: Karras et al. 2018, arXiv:1710.10196, with the half-life in images as in StyleGAN2's code.
    """
    return 0.5 ** (images / half_life) if half_life else 0.0


@torch.no_grad()
def update_average(average: nn.Module, current: nn.Module, decay: float) -> None:
    """Parameters: average <- current + decay * (average - current). Buffers are copied."""
    torch._foreach_lerp_(list(average.parameters()), list(current.parameters()), 1 - decay)
    for old, new in zip(average.buffers(), current.buffers(), strict=True):
        old.copy_(new)
