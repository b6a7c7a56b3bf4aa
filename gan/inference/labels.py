"""Which digits a model can be asked for."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from gan.errors import UserError

Select = Literal["classifier"] | None


def asked_labels(
    digits: Sequence[int] | None,
    start: int,
    stop: int,
    num_classes: int | None,
    image_channels: int,
    select: Select,
) -> Tensor | None:
    """The digits that images start..stop-1 show, int64; None for an unconditional model asked for none.

    Args:
        digits: image i shows digits[i mod len(digits)]; all classes in turn when not given.
        num_classes: of a conditional model, else None.
        image_channels: each shows a digit.
        select: whether a classifier finds digits among the images of an unconditional model.

    Raises:
        UserError: digits that the model does not draw, or a way of selecting them that it has no use for.
    """
    if select not in (None, "classifier"):
        raise UserError(f"select={select}: classifier, or null")
    if select is not None and num_classes is not None:
        raise UserError(f"select={select}: this model is conditional, it draws the digits asked for without it")
    if select is not None and digits is None:
        raise UserError(f"select={select}: name the digits to look for; digits is null")
    if num_classes is None and select is None:
        if digits is None:
            return None
        raise UserError(
            f"digits={list(digits)}: this model is unconditional, it draws no digit on demand; "
            "select=classifier draws samples until a classifier reads it"
        )
    classes = num_classes or 10**image_channels
    choices = list(range(classes)) if digits is None else list(digits)
    if not choices or not all(digit in range(classes) for digit in choices):
        raise UserError(f"digits={choices}: digits are 0 to {classes - 1}, and at least one")
    return torch.tensor(choices, dtype=torch.long)[torch.arange(start, stop) % len(choices)]
