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


def plain_numbers(allowed: Allowed, **values: Any) -> list[Any]:
    """The values as Python's own, which do not overflow; a UserError names the first key whose value is not allowed."""
    numbers = {key: plain(value) for key, value in values.items()}
    for key, number in numbers.items():
        allowed.require(key, number)
    return list(numbers.values())


def plain_path(seeds: Sequence[int], steps: int) -> tuple[list[int], int]:
    """Seeds and steps as numbers of Python; a UserError unless there are two seeds or more, and two steps or more."""
    if len(seeds) < 2:
        raise UserError(f"seeds={list(seeds)}: 2 or more")
    numbers = plain_numbers(SIZE, **{f"seeds[{index}]": seed for index, seed in enumerate(seeds)})
    return numbers, plain_numbers(Number(least=2, whole=True), steps=steps)[0]
