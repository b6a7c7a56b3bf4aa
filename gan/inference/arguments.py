"""What a caller in Python asks of a generator: a device, numbers, and digits."""

from collections.abc import Collection, Sequence
from numbers import Real
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from gan.config.allowed import Allowed
from gan.config.bounds import require
from gan.errors import UserError
from gan.threads import settle_threads

Select = Literal["classifier"] | None


def find_device(name: str) -> torch.device:
    """The device of a name such as "cuda:1", or the best one for "auto". A UserError if this machine lacks it."""
    settle_threads()
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        raise UserError(f"device={name}: not on this machine; device=auto chooses the best one") from error
    return device


def number(allowed: Allowed, key: str, value: Any) -> Any:
    """The value as Python's own number, which does not overflow; a UserError names the key unless it is allowed."""
    found = plain(value)
    allowed.require(key, found)
    return found


def plain(value: Any) -> Any:
    """The value, of a number of NumPy or in a tensor Python's own one."""
    return value.item() if isinstance(value, np.generic | Tensor) and value.ndim == 0 else value


def requested_labels(
    digits: Sequence[int] | None, start: int, stop: int, num_classes: int | None, image_channels: int, select: Select
) -> Tensor | None:
    """The labels of images start..stop-1: int64 [stop - start], or None for an unconditional model without `select`.

    Image i shows digits[i mod len(digits)], of None all classes in turn; each channel shows one digit. A UserError for
    digits that the model does not have, or a `select` that does not apply to it.
    """
    given = digits.tolist() if isinstance(digits, np.ndarray | Tensor) else digits
    if not isinstance(given, Collection | None):
        raise UserError(f"digits={given}: a list such as [3, 1, 4], or None")
    if select is not None:
        require("select", select, "generate")
        if num_classes is not None:
            raise UserError(f"select={select}: this model is conditional and generates the requested digits without it")
        if given is None:
            raise UserError(f"select={select}: name the digits to select; digits is null")
    elif num_classes is None:
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
    wanted = [choices[index % len(choices)] for index in range(start, stop)]
    return torch.tensor(wanted, dtype=torch.long, device="cpu")
