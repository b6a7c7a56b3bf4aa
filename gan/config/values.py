"""What a config value may be: a number within bounds, a switch, or one of a few."""

import json
import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from gan.errors import UserError


@dataclass(frozen=True)
class Allowed(ABC):
    """The values that a key may have; `optional`: None is one of them."""

    optional: bool = field(default=False, kw_only=True)

    def require(self, key: str, value: Any) -> None:
        """Raises a UserError that names the key unless it may have this value."""
        conditions = self.conditions()
        if not (all(holds(value) for _, holds in conditions) or (value is None and self.optional)):
            words = [*(text for text, _ in conditions), *(["or null"] if self.optional else [])]
            raise UserError(f"{key}={value}: {', '.join(words)}")

    @abstractmethod
    def conditions(self) -> list[tuple[str, Callable[[Any], bool]]]:
        """What holds for each of them but None, with words for it; each condition is asked if those before it hold."""


@dataclass(frozen=True)
class Number(Allowed):
    """A finite number within bounds.

    Args:
        least, most: bounds that it may have.
        above, below: bounds that it may not have.
        whole: whether it must be an integer.
    """

    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    whole: bool = False

    def conditions(self) -> list[tuple[str, Callable[[Any], bool]]]:
        bounds = (
            ("{:,} or more", operator.le, self.least),
            ("above {:,}", operator.lt, self.above),
            ("{:,} or less", operator.ge, self.most),
            ("below {:,}", operator.gt, self.below),
        )
        within = [(text.format(bound), partial(holds, bound)) for text, holds, bound in bounds if bound is not None]
        return [("a whole number" if self.whole else "a number", self._is_number), *within]

    def _is_number(self, value: Any) -> bool:
        return type(value) is int or (not self.whole and type(value) is float and math.isfinite(value))


class Switch(Allowed):
    """True or false."""

    def conditions(self) -> list[tuple[str, Callable[[Any], bool]]]:
        return [("true or false", lambda value: type(value) is bool)]


@dataclass(frozen=True)
class OneOf(Allowed):
    """One of a few values."""

    values: tuple[str | bool | int, ...]

    def conditions(self) -> list[tuple[str, Callable[[Any], bool]]]:
        words = [one if isinstance(one, str) else json.dumps(one) for one in self.values]
        typed = [(type(one), one) for one in self.values]  # 1 == True
        return [((" or " if len(words) == 2 else ", ").join(words), lambda value: (type(value), value) in typed)]
