"""Checks of config values."""

import math
import operator
from collections.abc import Mapping
from typing import Any, NamedTuple

from gan.errors import UserError

TRAIN, EVERY = ("train",), ("train", "evaluate")


class Number(NamedTuple):
    """The bounds of a number, as `require_number` takes them, and the commands that have the key."""

    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    whole: bool = False
    optional: bool = False
    commands: tuple[str, ...] = TRAIN


class Switch(NamedTuple):
    """A value that is true or false."""

    commands: tuple[str, ...] = TRAIN


class OneOf(NamedTuple):
    """A value that is one of a few."""

    values: tuple[Any, ...]
    commands: tuple[str, ...] = TRAIN


COUNT, OPTIONAL = Number(least=1, whole=True), Number(least=1, whole=True, optional=True)
SIZE = Number(least=0, whole=True)
MAX_INDEX = 2**63 - 1
INDEXED = {"most": MAX_INDEX, "whole": True, "commands": ("generate",)}

BOUNDS: dict[str, Number | Switch | OneOf] = {
    "seed": Number(least=0, below=2**32, whole=True, commands=EVERY),
    "max_images": OPTIONAL,
    "compile": Switch(),
    "deterministic": Switch(),
    "on_divergence": OneOf(("stop", "rewind")),
    "steps_per_execution": OPTIONAL,
    "n_trials": COUNT,
    "data.batch_size": COUNT,
    "data.val_size": SIZE,
    "data.val_batch_size": COUNT,
    "data.images_per_epoch": OPTIONAL,
    "data.stratified_batches": Switch(),
    "data.seed": SIZE,
    "data.source.num_images": OPTIONAL,
    "model.latent_dim": COUNT,
    "model.num_classes": Number(least=2, whole=True, optional=True),
    "model.image_channels": COUNT,
    "model.discriminator_steps": COUNT,
    "model.gradient_clip_norm": Number(above=0, optional=True),
    "model.ema_half_life": Number(least=0),
    "model.one_stage": Switch(),
    "model.joint_batches": Switch(),
    "model.diversity_weight": Number(least=0),
    "model.loss.label_smoothing": Number(least=0, below=1),
    "model.loss.leak": Number(least=0, most=1),
    "trainer.max_epochs": Number(least=-1, whole=True, optional=True),
    "trainer.min_epochs": Number(least=0, whole=True, optional=True),
    "trainer.num_nodes": COUNT,
    "trainer.check_val_every_n_epoch": OPTIONAL,
    "trainer.limit_train_batches": Number(above=0, optional=True),
    "trainer.limit_val_batches": Number(least=0, optional=True),
    "trainer.num_sanity_val_steps": Number(least=-1, whole=True, optional=True),
    "trainer.log_every_n_steps": COUNT,
    "trainer.val_check_interval": Number(above=0, optional=True),
    "trainer.accelerator": OneOf(("auto", "cpu", "gpu", "cuda", "mps")),
    "trainer.benchmark": Switch(),
    "trainer.detect_anomaly": Switch(),
    "trainer.inference_mode": Switch(),
    "trainer.enable_progress_bar": Switch(),
    "trainer.precision": OneOf(("auto", "32-true", "16-mixed", "bf16-mixed")),
    "callbacks.samples.num_images": COUNT,
    "callbacks.samples.every_n_epochs": COUNT,
    "callbacks.samples.every_n_batches": OPTIONAL,
    "callbacks.checkpoints.every_n_epochs": SIZE,
    "callbacks.checkpoints.every_n_minutes": Number(above=0, optional=True),
    "callbacks.checkpoints.keep_last": COUNT,
    "num_samples": Number(least=1, whole=True, commands=("evaluate",)),
    "repeats": Number(least=1, whole=True, commands=("evaluate",)),
    "num_images": Number(least=1, optional=True, **INDEXED),
    "shard_size": Number(least=1, optional=True, **INDEXED),
    "first": Number(least=0, **INDEXED),
    "steps": Number(least=2, **INDEXED),
    "truncation": Number(above=0, optional=True, commands=("generate",)),
    "overwrite": Switch(commands=("generate",)),
}


def require(key: str, value: Any) -> None:
    """Raises a UserError unless the value of a key is within its bounds in BOUNDS."""
    allowed = BOUNDS[key]
    if isinstance(allowed, Switch):
        require_switch(key, value)
    elif isinstance(allowed, OneOf):
        if str(value) not in allowed.values:
            raise UserError(f"{key}={value}: it may be {', '.join(allowed.values)}")
    else:
        require_number(key, value, **{name: bound for name, bound in allowed._asdict().items() if name != "commands"})


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
