"""What the values of a config may be."""

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
    """Refuses what is not a finite number within the bounds.

    Args:
        key: of the config, for the error's text.
        least, above, most, below: the bounds; `least` and `most` are within.
        whole: whether it must be an integer.
        optional: whether it may be None.

    Raises:
        UserError: it is something else.
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
    """Refuses what is neither true nor false.

    Raises:
        UserError: it is something else.
    """
    if type(value) is not bool:
        raise UserError(f"{key}={value}: true or false")


def require_part(key: str, value: Any, *, optional: bool = False) -> None:
    """Refuses what does not name what it builds as `_target_`.

    Raises:
        UserError: it is something else, or None where that is not allowed.
    """
    if not (isinstance(value, Mapping) and "_target_" in value) and not (value is None and optional):
        raise UserError(f"{key}={value}: {{_target_: ..., and what that takes}}{', or null' if optional else ''}")


def check_trainer(trainer: Mapping[str, Any]) -> None:
    """Refuses numbers of `conf/trainer/` that Lightning would stumble over later, or never.

    Raises:
        UserError: the first such value.
    """
    for key in TRAINER_NUMBERS.keys() & trainer.keys():
        require_number(f"trainer.{key}", trainer[key], **TRAINER_NUMBERS[key])
