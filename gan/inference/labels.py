"""The labels of requested digits, and which digits can be requested from a model."""

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from gan.config.bounds import require
from gan.errors import UserError

Select = Literal["classifier"] | None


def requested_labels(
    digits: Sequence[int] | None,
    start: int,
    stop: int,
    num_classes: int | None,
    image_channels: int,
    select: Select,
) -> Tensor | None:
    """The labels of images start..stop-1: int64 [stop - start], or None for an unconditional model without `select`.

    Args:
        digits: image i shows digits[i mod len(digits)]; None: all classes in turn.
        num_classes: number of classes of a conditional model, else None.
        image_channels: each channel shows one digit.
        select: "classifier" if a classifier selects digits among the samples of an unconditional model.

    Raises:
        UserError: digits that the model does not have, or a `select` that does not apply to the model.
    """
    given = digits.tolist() if isinstance(digits, np.ndarray | Tensor) else digits
    if not isinstance(given, Iterable | None):
        raise UserError(f"digits={given}: a list such as [3, 1, 4], or None")
    if select is not None:
        require("select", select, "generate")
    if select is not None and num_classes is not None:
        raise UserError(f"select={select}: this model is conditional and generates the requested digits without it")
    if select is not None and digits is None:
        raise UserError(f"select={select}: name the digits to select; digits is null")
    if num_classes is None and select is None:
        if given is None:
            return None
        raise UserError(
            f"digits={list(given)}: this model is unconditional and takes no digits; "
            "select=classifier keeps the samples that a classifier recognizes as these digits"
        )
    classes = num_classes or 10**image_channels
    choices = list(range(classes)) if given is None else list(given)
    if not choices or not all(isinstance(digit, Real | Tensor) and digit in range(classes) for digit in choices):
        raise UserError(f"digits={choices}: digits are 0 to {classes - 1}, and at least one is needed")
    return torch.tensor([choices[index % len(choices)] for index in range(start, stop)], dtype=torch.long)
