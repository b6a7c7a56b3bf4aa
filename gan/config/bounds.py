"""Checks of config values."""

import math
import operator
from collections.abc import Mapping
from typing import Any

from gan.errors import UserError

TRAINER_NUMBERS = {
    "max_epochs": {"least": -1, "whole": True, "optional": True},
    "check_val_every_n_epoch": {"least": 1, "whole": True, "optional": True},
    "limit_train_batches": {"above": 0, "optional": True},
    "limit_val_batches": {"least": 0, "optional": True},
    "num_sanity_val_steps": {"least": -1, "whole": True, "optional": True},
    "log_every_n_steps": {"least": 1, "whole": True},
}


def require_number(
    key: str,
    value: Any,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
    whole: bool = False,
    optional: bool = False,
) -> None:
    """Raises a UserError that names the key unless a value is a finite number within bounds.

    Args:
        least, most: bounds that the value may have.
        above, below: bounds that the value may not have.
        whole: whether it must be an integer.
        optional: whether it may be None.
    """
    bounds = (
        ("{:,} or more", operator.ge, least),
        ("above {:,}", operator.gt, above),
        ("{:,} or less", operator.le, most),
        ("below {:,}", operator.lt, below),
    )
    given = [(text.format(bound), holds, bound) for text, holds, bound in bounds if bound is not None]
    fits = type(value) is int or (not whole and type(value) is float and math.isfinite(value))
    if (value is None and optional) or (fits and all(holds(value, bound) for _, holds, bound in given)):
        return
    words = ["a whole number" if whole else "a number", *(text for text, _, _ in given)]
    raise UserError(f"{key}={value}: {', '.join([*words, *(['or null'] if optional else [])])}")


def require_switch(key: str, value: Any) -> None:
    """Raises a UserError unless a value is true or false."""
    if type(value) is not bool:
        raise UserError(f"{key}={value}: true or false")


def require_part(key: str, value: Any, *, optional: bool = False) -> None:
    """Raises a UserError unless a value is a mapping with a `_target_`, or None if it is optional."""
    if not (isinstance(value, Mapping) and "_target_" in value) and not (value is None and optional):
        raise UserError(f"{key}={value}: {{_target_: ..., and what that takes}}{', or null' if optional else ''}")


def check_trainer(trainer: Mapping[str, Any]) -> None:
    """Raises a UserError for a wrong number in `conf/trainer/` that Lightning would refuse late, or not at all."""
    for key in TRAINER_NUMBERS.keys() & trainer.keys():
        require_number(f"trainer.{key}", trainer[key], **TRAINER_NUMBERS[key])
