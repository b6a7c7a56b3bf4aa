"""The kinds of values that a key may have: numbers within bounds, one of a few values, texts and paths."""

import json
import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from gan.errors import UserError

UNLIKE_TEXT = re.compile(r"\s*|[-+.\d][-+.\de]*|true|false|null", re.IGNORECASE)


@dataclass(frozen=True)
class Allowed(ABC):
    """The values that a key may have; `optional`: None is one of them."""

    optional: bool = field(default=False, kw_only=True)

    def require(self, key: str, value: Any) -> None:
        """Raises a UserError that names the key unless it may have this value."""
        if not (self.has(value) or (value is None and self.optional)):
            unlike_text = isinstance(value, str) and UNLIKE_TEXT.fullmatch(value)
            shown = repr(value) if unlike_text else value
            raise UserError(f"{key}={shown}: {self.words()}{', or null' if self.optional else ''}")

    @abstractmethod
    def has(self, value: Any) -> bool:
        """Whether a value is one of them, None aside."""

    @abstractmethod
    def words(self) -> str:
        """What holds for each of them but None."""


@dataclass(frozen=True)
class Number(Allowed):
    """A finite number, an integer if `whole`. It may be `least` or `most` itself, but not `above` or `below`."""

    least: float = -math.inf
    above: float = -math.inf
    most: float = math.inf
    below: float = math.inf
    whole: bool = False

    def has(self, value: Any) -> bool:
        is_number = type(value) is int and (self.whole or abs(value) < 2**63)  # torch overflows on greater ones
        is_number |= type(value) is float and not self.whole
        return is_number and self.least <= value <= self.most and self.above < value < self.below

    def words(self) -> str:
        bounds = (
            ("{:,} or more", self.least),
            ("above {:,}", self.above),
            ("{:,} or less", self.most),
            ("below {:,}", self.below),
        )
        within = [text.format(bound) for text, bound in bounds if math.isfinite(bound)]
        return ", ".join(["a whole number" if self.whole else "a number", *within])


@dataclass(frozen=True)
class OneOf(Allowed):
    """One of a few values."""

    values: tuple[str | bool | int, ...]

    def has(self, value: Any) -> bool:
        return (type(value), value) in [(type(one), one) for one in self.values]  # 1 == True

    def words(self) -> str:
        words = [one if isinstance(one, str) else json.dumps(one) for one in self.values]
        return (" or " if len(words) == 2 else ", ").join(words)


@dataclass(frozen=True)
class Text(Allowed):
    """A text that is not empty, or a number that stands for one."""

    def has(self, value: Any) -> bool:
        return isinstance(value, str | int | float) and not isinstance(value, bool) and value != ""

    def words(self) -> str:
        return "a text"


@dataclass(frozen=True)
class PathOf(Allowed):
    """The path of a file or a folder. A number is refused: 1e3 is read as 1000.0, which is another name."""

    what: str

    def has(self, value: Any) -> bool:
        return isinstance(value, str | PurePath)

    def words(self) -> str:
        return f"the path of a {self.what}"


COUNT, OPTIONAL_COUNT = Number(least=1, whole=True), Number(least=1, whole=True, optional=True)
SIZE = Number(least=0, whole=True)
SWITCH = OneOf((True, False))
SEED = Number(least=0, below=2**32, whole=True)
