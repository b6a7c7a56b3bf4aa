import math

import pytest

from gan.config.values import Number, OneOf, Switch
from gan.errors import UserError

NAMES = OneOf(("auto", True, False))


@pytest.mark.parametrize(
    ("allowed", "value"),
    [
        (Number(), -1.5),
        (Number(least=0, below=1), 0),
        (Number(above=0, most=2), 2),
        (Number(whole=True), 10**30),
        (Number(optional=True), None),
        (Switch(), False),
        (Switch(optional=True), None),
        (NAMES, "auto"),
        (NAMES, True),
        (OneOf(("a",), optional=True), None),
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
        (Number(whole=True), 2.0, "key=2.0: a whole number"),
        (Number(least=0, below=2000), 2000, "key=2000: a number, 0 or more, below 2,000"),
        (Number(above=0, most=2, optional=True), 0, "key=0: a number, above 0, 2 or less, or null"),
        (Switch(), "no", "key=no: true or false"),
        (Switch(), 1, "key=1: true or false"),
        (NAMES, 1, "key=1: auto, true, false"),
        (NAMES, None, "key=None: auto, true, false"),
        (OneOf(("a", "b")), "c", "key=c: a or b"),
        (OneOf(("a",), optional=True), ["a"], "key=['a']: a, or null"),
    ],
)
def test_another_value_is_refused_in_one_line(allowed, value, line):
    with pytest.raises(UserError) as raised:
        allowed.require("key", value)
    assert str(raised.value) == line
