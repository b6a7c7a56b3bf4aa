"""Numbers that a caller in Python gives: numpy's are taken like Python's own."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gan.config.bounds import SIZE
from gan.config.values import Allowed, Number
from gan.errors import UserError


def plain(value: Any) -> Any:
    """A number of numpy as one of Python; anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def require_numbers(allowed: Allowed, **values: Any) -> None:
    """Raises a UserError that names the first key of which the value is not allowed."""
    for key, value in values.items():
        allowed.require(key, plain(value))


def require_path(seeds: Sequence[int], steps: int) -> None:
    """Raises a UserError unless there are two seeds or more, and two steps or more."""
    if len(seeds) < 2:
        raise UserError(f"seeds={list(seeds)}: 2 or more")
    require_numbers(SIZE, **{f"seeds[{index}]": seed for index, seed in enumerate(seeds)})
    require_numbers(Number(least=2, whole=True), steps=steps)
