"""What a config value may be: a number within bounds, a switch, or one of a few."""

import json
import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gan.errors import UserError


@dataclass(frozen=True)
class Allowed(ABC):
    """The values that a key may have.

    Args:
        optional: whether None is one of them.
    """

    optional: bool = field(default=False, kw_only=True)

    def require(self, key: str, value: Any) -> None:
        """Raises a UserError that names the key unless it may have this value."""
        if not (self.allows(value) or (value is None and self.optional)):
            raise UserError(f"{key}={value}: {self.words()}{', or null' if self.optional else ''}")

    @abstractmethod
    def allows(self, value: Any) -> bool:
        """Whether a value other than None is one of them."""

    @abstractmethod
    def words(self) -> str:
        """What they are, for an error's text."""


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

    def allows(self, value: Any) -> bool:
        fits = type(value) is int or (not self.whole and type(value) is float and math.isfinite(value))
        return fits and all(holds(value, bound) for _, holds, bound in self._bounds())

    def words(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        return ", ".join([kind, *(text.format(bound) for text, _, bound in self._bounds())])

    def _bounds(self) -> list[tuple[str, Callable[[float, float], bool], float]]:
        bounds = (
            ("{:,} or more", operator.ge, self.least),
            ("above {:,}", operator.gt, self.above),
            ("{:,} or less", operator.le, self.most),
            ("below {:,}", operator.lt, self.below),
        )
        return [(text, holds, bound) for text, holds, bound in bounds if bound is not None]


class Switch(Allowed):
    """True or false."""

    def allows(self, value: Any) -> bool:
        return type(value) is bool

    def words(self) -> str:
        return "true or false"


@dataclass(frozen=True)
class OneOf(Allowed):
    """One of a few values."""

    values: tuple[str | bool, ...]

    def allows(self, value: Any) -> bool:
        return any(value == one and type(value) is type(one) for one in self.values)  # 1 == True

    def words(self) -> str:
        *others, last = (one if isinstance(one, str) else json.dumps(one) for one in self.values)
        return f"{', '.join(others)} or {last}" if others else last
