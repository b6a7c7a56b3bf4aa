"""The bounds of values: every key that has some exists, and what lies outside is refused by its key."""

import inspect
import math
import re
from pathlib import Path

import lightning
import pytest
from omegaconf import OmegaConf

from gan.config import compose
from gan.config.allowed import SWITCH, Number, OneOf, PathOf, Text
from gan.config.bounds import BOUNDS, require, require_part
from gan.config.early_checks import check_bounds
from gan.errors import UserError

NAMES = OneOf(("auto", True, False))
BRINGING = {
    "train": (
        ["model=dcgan", "logger=wandb", "sweep=optuna", "hardware=multi_node"],
        ["data=stacked_mnist", "loss=hinge"],
    ),
    "evaluate": (["data=stacked_mnist"],),
    "generate": ([],),
    "export": ([],),
}  # overrides that bring every key with bounds


def has(cfg, key):
    above, _, name = key.rpartition(".")
    return name in ((OmegaConf.select(cfg, above) if above else cfg) or {})


def refused_values(allowed):
    yield ["a", "list"] if isinstance(allowed, Text | PathOf) else "abc"
    if not allowed.optional:
        yield None
    if isinstance(allowed, Number):
        steps = ((allowed.least, -1), (allowed.above, 0), (allowed.most, 1), (allowed.below, 0))
        yield from (bound + step for bound, step in steps if math.isfinite(bound))


def test_bounds_are_of_keys_that_a_command_has():
    flags = {f"trainer.{name}" for name in inspect.signature(lightning.Trainer.__init__).parameters}
    assert BOUNDS.keys() == BRINGING.keys()
    for command, choices in BRINGING.items():
        configs = [compose(command, overrides) for overrides in choices]
        keys = BOUNDS[command].keys() - flags
        assert {key for key in keys if not any(has(cfg, key) for cfg in configs)} == set()


@pytest.mark.parametrize("command", BOUNDS)
def test_each_value_out_of_its_bounds_is_refused_by_its_key(command):
    for key, allowed in BOUNDS[command].items():
        for value in refused_values(allowed):
            cfg = OmegaConf.create()
            OmegaConf.update(cfg, key, value, force_add=True)
            with pytest.raises(UserError, match=f"^{re.escape(f'{key}={value}: ')}"):
                check_bounds(command, cfg)


@pytest.mark.parametrize(
    ("command", "key", "last", "too_far"),
    [
        ("train", "seed", 2**32 - 1, 2**32),
        ("train", "threads", 1024, 1025),
        ("train", "model.loss.label_smoothing", 0, -0.1),
        ("train", "model.gradient_clip_norm", 1e-9, 0),
        ("evaluate", "confidence", 0.999, 1),
        ("generate", "scale", 64, 65),
        ("generate", "steps", 2, 1),
        ("export", "dtype", "float16", "int8"),
    ],
)
def test_the_ends_of_a_range_are_allowed_and_what_is_beyond_them_is_not(command, key, last, too_far):
    require(key, last, command)
    with pytest.raises(UserError, match=f"^{key}={too_far}: "):
        require(key, too_far, command)


def test_a_part_is_a_mapping_with_a_target_or_null_where_that_is_allowed():
    require_part("callbacks.budget", {"_target_": "gan.callbacks.budget.ImageBudget"})
    require_part("callbacks.budget", None, optional=True)
    with pytest.raises(UserError, match=r"^data\.source=None: \{_target_: \.\.\., and what that takes\}$"):
        require_part("data.source", None)
    with pytest.raises(UserError, match=r"^data=\{'name': 3\}: \{_target_: .*\}, or null$"):
        require_part("data", {"name": 3}, optional=True)


@pytest.mark.parametrize(
    ("allowed", "value"),
    [
        (Number(), -1.5),
        (Number(least=0, below=1), 0),
        (Number(above=0, most=2), 2),
        (Number(whole=True), 10**30),
        (Number(optional=True), None),
        (SWITCH, False),
        (OneOf((True, False), optional=True), None),
        (NAMES, "auto"),
        (NAMES, True),
        (OneOf(("a",), optional=True), None),
        (Text(), "night"),
        (Text(), 2026),
        (Text(optional=True), None),
        (PathOf("file"), "a.ckpt"),
        (PathOf("folder"), Path("data")),
    ],
)
def test_a_value_within_its_bounds_passes(allowed, value):
    allowed.require("key", value)


@pytest.mark.parametrize(
    ("allowed", "value", "line"),
    [
        (Number(), None, "key=None: a number"),
        (Number(), math.nan, "key=nan: a number"),
        (Number(), -math.inf, "key=-inf: a number"),
        (Number(), True, "key=True: a number"),
        (Number(), "3", "key='3': a number"),
        (Number(), 2**63, "key=9223372036854775808: a number"),
        (SWITCH, "true", "key='true': true or false"),
        (Text(), "", "key='': a text"),
        (Text(), True, "key=True: a text"),
        (Number(whole=True), 2.0, "key=2.0: a whole number"),
        (Number(least=0, below=2000), 2000, "key=2000: a number, 0 or more, below 2,000"),
        (Number(above=0, most=2, optional=True), 0, "key=0: a number, above 0, 2 or less, or null"),
        (SWITCH, "no", "key=no: true or false"),
        (SWITCH, 1, "key=1: true or false"),
        (NAMES, 1, "key=1: auto, true, false"),
        (NAMES, None, "key=None: auto, true, false"),
        (OneOf(("a", "b")), "c", "key=c: a or b"),
        (OneOf(("a",), optional=True), ["a"], "key=['a']: a, or null"),
        (PathOf("file", optional=True), ["a"], "key=['a']: the path of a file, or null"),
        (PathOf("folder"), 2026, "key=2026: the path of a folder"),
    ],
)
def test_another_value_is_refused_in_one_line(allowed, value, line):
    with pytest.raises(UserError) as raised:
        allowed.require("key", value)
    assert str(raised.value) == line
