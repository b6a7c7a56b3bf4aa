"""Finds the first step whose losses or gradients are not finite, without waiting for a GPU at each step."""

import torch
from torch import Tensor, nn

from gan.cuda_graphs import copied_to_host
from gan.errors import DivergedError
from gan.step_plan import StepResult

WATCHED = ("loss_discriminator", "gradient_norm_discriminator", "loss_generator", "gradient_norm_generator")
ADVICE = "lower the learning rates or clip gradients (model.gradient_clip_norm); on_divergence=rewind does the former"


class FiniteWatch:
    """Keeps, for each watched value, the number of the first step where it was not finite. Works in a CUDA graph.

    Args:
        device: of the values.
        first_batch: batches of the run before the first step.
        gradients: whether gradients are watched; with precision 16-mixed some are infinite by design.
    """

    def __init__(self, device: torch.device, first_batch: int, gradients: bool) -> None:
        self.names = [name for name in WATCHED if gradients or not name.startswith("gradient")]
        self.first_batch = first_batch
        self._steps = torch.zeros((), dtype=torch.int64, device=device)
        self._first = torch.zeros(len(self.names), dtype=torch.int64, device=device)  # 0: none; steps count from 1
        self._pending: list[tuple[Tensor, torch.cuda.Event]] = []

    def add(self, found: StepResult) -> None:
        """Takes note of a step; `found` may lack the generator's values."""
        values = torch.stack([torch.as_tensor(found[name]).detach() for name in self.names if name in found])
        first = self._first[: len(values)]
        self._steps += 1
        torch.where((first > 0) | torch.isfinite(values), first, self._steps, out=first)

    def check(self, calls_behind: int = 0) -> None:
        """On a GPU, the steps of up to `calls_behind` calls before this one are left for later, and nothing waits.

        Raises:
            DivergedError: it names the values and the batch.
        """
        if not self._first.is_cuda:
            self._require_none(self._first)
            return
        self._pending.append(copied_to_host(self._first))
        while len(self._pending) > calls_behind:
            host, event = self._pending.pop(0)
            event.synchronize()
            self._require_none(host)

    def _require_none(self, first: Tensor) -> None:
        steps = {name: step for name, step in zip(self.names, first.tolist(), strict=True) if step}
        if steps:
            step = min(steps.values())
            names = " and ".join(name for name, at in steps.items() if at == step)
            raise DivergedError(
                f"training diverged at batch {self.first_batch + step:,} of the run: {names} not finite; {ADVICE}"
            )


def require_finite_weights(module: nn.Module, images_seen: int) -> None:
    """Raises DivergedError if a weight is not finite."""
    if not all(torch.isfinite(parameter).all() for parameter in module.parameters()):
        raise DivergedError(f"training diverged: weights are not finite after {images_seen:,} images; {ADVICE}")
