"""The optimizers of the two networks, the clipping of their gradients, and what they need in CUDA graphs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import LBFGS, Optimizer, SparseAdam

from gan.config.targets import build
from gan.errors import UserError
from gan.step_plan import Rate


def build_optimizer(
    spec: Mapping[str, Any], key: str, trust: Sequence[str], parameters: Iterable[nn.Parameter]
) -> Optimizer:
    """The optimizer that `spec` names.

    Raises:
        UserError: it needs more than dense gradients of one step, or has several groups of weights.
    """
    optimizer = build(spec, key, ["torch.optim"], trust, parameters)
    if not isinstance(optimizer, Optimizer) or isinstance(optimizer, LBFGS | SparseAdam):
        raise UserError(f"{key}._target_={spec['_target_']}: it takes no step from dense gradients; Adam does")
    if len(optimizer.param_groups) != 1:
        raise UserError(
            f"{key}._target_={spec['_target_']}: {len(optimizer.param_groups)} groups of weights; one is needed"
        )
    return optimizer


@contextmanager
def at_rate(optimizer: LightningOptimizer, rate: Rate) -> Iterator[None]:
    """The optimizer has this learning rate inside, and that of its schedule again after it."""
    (group,) = optimizer.param_groups
    of_schedule, group["lr"] = group["lr"], rate
    try:
        yield
    finally:
        group["lr"] = of_schedule


def clip_gradients(optimizer: Optimizer, scaler: GradScaler | None, limit: float | None) -> Tensor:
    """Clips the gradients of an optimizer together to an L2 norm of `limit`, and returns the norm they had."""
    if scaler and getattr(optimizer, "_step_supports_amp_scaling", False):
        scaler.unscale_(optimizer)  # Lightning leaves that to a fused optimizer's step, which comes after clipping
    parameters = [parameter for parameter in optimizer.param_groups[0]["params"] if parameter.grad is not None]
    norm = nn.utils.get_total_norm([parameter.grad for parameter in parameters])
    if limit is not None:
        nn.utils.clip_grads_with_norm_(parameters, limit, norm)
    return norm


def make_capturable(optimizers: list[Optimizer]) -> None:
    """Lets optimizers keep their counts on the card and take a rate from there, in one kernel where they have one."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            if "capturable" in group:
                group["capturable"] = True
            if "fused" in group and group["fused"] is None and not group["foreach"]:
                group["fused"] = True
        for parameter, state in optimizer.state.items():
            if "step" in state:
                state["step"] = torch.as_tensor(state["step"], dtype=torch.float32, device=parameter.device)


def make_portable(optimizer_states: list[dict[str, Any]]) -> None:
    """Takes out of a checkpoint what `make_capturable` chose for this device, so that another one can resume it."""
    for state in optimizer_states:
        for group in state["param_groups"]:
            if group.get("capturable"):
                group |= {"capturable": False, "fused": None} if "fused" in group else {"capturable": False}
