"""The optimizers of the two networks."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import nn
from torch.optim import LBFGS, Optimizer, SparseAdam

from gan.config.targets import build
from gan.errors import UserError


def build_optimizer(
    spec: Mapping[str, Any], key: str, trust: Sequence[str], parameters: Iterable[nn.Parameter]
) -> Optimizer:
    """The optimizer that `spec` names.

    Raises:
        UserError: it needs more than the gradients of a step, or they must be sparse.
    """
    optimizer = build(spec, key, ["torch.optim"], trust, parameters)
    if not isinstance(optimizer, Optimizer) or isinstance(optimizer, LBFGS | SparseAdam):
        raise UserError(f"{key}._target_={spec['_target_']}: it takes no step from dense gradients; Adam does")
    return optimizer
