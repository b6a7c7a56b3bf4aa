"""Learning-rate schedules that end with the run; torch's own schedulers can be named in their place."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


class LinearDecay(LambdaLR):
    """The full rate until `start`, then a straight line to zero at the end of the run.

    Args:
        total_steps: generator steps of the run; the module fills it in.
        start: share of the run at the full rate, 0..1.
    """

    def __init__(self, optimizer: Optimizer, total_steps: int, start: float = 0.5) -> None:
        def factor(step: int) -> float:
            return min(1.0, max(0.0, (1 - step / total_steps) / max(1 - start, 1e-9)))

        super().__init__(optimizer, factor)


class CosineDecay(LambdaLR):
    """The full rate until `start`, then half a cosine to zero at the end of the run.

    Args:
        total_steps: generator steps of the run; the module fills it in.
        start: share of the run at the full rate, 0..1.
    """

    def __init__(self, optimizer: Optimizer, total_steps: int, start: float = 0.0) -> None:
        def factor(step: int) -> float:
            progress = min(1.0, max(0.0, (step / total_steps - start) / max(1 - start, 1e-9)))
            return (1 + math.cos(math.pi * progress)) / 2

        super().__init__(optimizer, factor)
