"""The exponential moving average of the generator's weights."""

import torch
from torch import Tensor, nn

from gan.config.bounds import require


class AverageDecay:
    """How much of the average is left after a step: 0.5 ** (images of the step / half-life).

    Source: Karras et al. 2018, arXiv:1710.10196, with the half-life in images as in StyleGAN2's code.

    Args:
        half_life: images until a weight has lost half its part in the average; 0: the average is the generator.
        warmup: the half-life is at most this share of the images seen.
    """

    def __init__(self, half_life: float = 0.0, warmup: float = 0.05) -> None:
        require("model.ema_half_life", half_life)
        require("model.ema_warmup", warmup)
        self.half_life, self.warmup = half_life, warmup

    def after(self, images: float, images_seen: float) -> float | None:
        """The decay of a step of `images`, with `images_seen` after it; None: the average is the generator."""
        return 0.5 ** (images / min(self.half_life, self.warmup * images_seen)) if self.half_life else None


@torch.no_grad()
def update_average(average: nn.Module, current: nn.Module, decay: float | Tensor | None) -> None:
    """Parameters: average <- current + decay * (average - current), None as 0. Buffers are copied.

    Args:
        decay: a tensor where it must not be read, in a captured step.
    """
    averages: list[Tensor] = [*average.parameters()]
    currents: list[Tensor] = [*current.parameters()]
    if decay is None:
        torch._foreach_copy_(averages, currents)
    elif isinstance(decay, Tensor):
        differences = torch._foreach_sub(currents, averages)
        torch._foreach_mul_(differences, 1 - decay)
        torch._foreach_add_(averages, differences)
    else:
        torch.optim.swa_utils.get_ema_multi_avg_fn(decay)(averages, currents, None)
    buffers = list(current.buffers())
    if buffers:
        torch._foreach_copy_(list(average.buffers()), buffers)


def share_buffers(average: nn.Module, processes: int) -> None:
    """Gives all processes those of the first: each has the running statistics of its own last batch."""
    if processes > 1:
        for buffer in average.buffers():
            torch.distributed.broadcast(buffer, 0)
