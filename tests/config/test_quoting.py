"""The line for a value that Hydra's grammar refuses: what is shown can be pasted into a shell."""

import re
import shlex

import pytest
from hydra.errors import HydraException

from gan.config import compose, explain

VALUES = ("~/mnist", "ü", "a#b", "a&b", "it's", "a!b", "(x)", "a;b", "lr=0.1/last.ckpt", "a,b=c", "$HOME/(x)")


@pytest.mark.parametrize("value", VALUES)
def test_the_line_shows_the_very_value_in_quotes(value):
    with pytest.raises(HydraException) as raised:
        compose("train", [f"ckpt_path={value}"])
    before, _, pasted = explain(raised.value).partition(": needs quotes: ")
    assert before == f"ckpt_path={value}"
    assert compose("train", shlex.split(pasted)).ckpt_path == value


def test_the_entries_of_a_list_are_quoted():
    with pytest.raises(HydraException) as raised:
        compose("evaluate", ["ckpt=[lr=0.1/a.ckpt,b.ckpt]"])
    (pasted,) = shlex.split(explain(raised.value).partition(": needs quotes: ")[2])
    assert compose("evaluate", [pasted]).ckpt == ["lr=0.1/a.ckpt", "b.ckpt"]


def test_several_values_are_a_text_a_list_or_a_sweep():
    with pytest.raises(HydraException) as raised:
        compose("evaluate", ["ckpt=a,b.ckpt"])
    text, several = re.fullmatch(
        r"ckpt=a,b\.ckpt: for a text: (.*); for a list: (.*); for a sweep over the values: gan train --multirun",
        explain(raised.value),
    ).groups()
    assert compose("evaluate", shlex.split(text)).ckpt == "a,b.ckpt"
    assert compose("evaluate", shlex.split(several)).ckpt == ["a", "b.ckpt"]
