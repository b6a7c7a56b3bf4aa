"""What one override sets, and the line for a value that Hydra's grammar refuses: it can be pasted into a shell."""

import re
import shlex

import pytest
from hydra.errors import HydraException

from gan.config import compose, explain
from gan.config.overrides import ckpt_path_of, is_of_sweep, key_of, replaces

VALUES = ("~/mnist", "ü", "a#b", "a&b", "it's", "a!b", "(x)", "a;b", "lr=0.1/last.ckpt", "a,b=c", "$HOME/(x)")


@pytest.mark.parametrize("override", ["a.b=1", "+a.b=1", "++a.b=c=d", "~a.b", "~a.b=1"])
def test_the_key_of_each_kind_of_override(override):
    assert key_of(override) == "a.b"


@pytest.mark.parametrize(
    ("override", "named"),
    [("ckpt_path=auto", "auto"), ("++ckpt_path='auto'", "auto"), ('ckpt_path="a b"', "a b"), ("init_from=a", None)],
)
def test_what_ckpt_path_names(override, named):
    assert ckpt_path_of(override) == named


@pytest.mark.parametrize(
    ("override", "of_sweep"),
    [
        ("hydra/launcher=joblib", True),
        ("hydra.sweeper.n_trials=3", True),
        ("+pruner.n_warmup_steps=1", True),
        ("hydra.run.dir=x", False),
        ("model.sweep=1", False),
    ],
)
def test_what_sets_up_a_sweep(override, of_sweep):
    assert is_of_sweep(override) is of_sweep


@pytest.mark.parametrize(
    ("new", "old", "whole"),
    [
        ("data={batch_size: 30}", "data=digits", False),
        ("data={batch_size: 30}", "data={val_size: 9}", False),
        ("model=dcgan", "model={latent_dim: 9}", False),
        ("model=dcgan", "model=conditional", True),
        ("callbacks.plots={_target_: gan.callbacks.Plots}", "~callbacks.plots", True),
        ("model.loss={_target_: gan.losses.Hinge}", "model.loss={_target_: a.B, c: 1}", True),
    ],
)
def test_an_override_that_replaces_another_leaves_nothing_of_it(new, old, whole):
    assert replaces(new, old) is whole


@pytest.mark.parametrize("value", VALUES)
def test_the_line_shows_the_very_value_in_quotes(value):
    with pytest.raises(HydraException) as raised:
        compose("train", [f"ckpt_path={value}"])
    before, _, pasted = explain(raised.value).partition(": needs quotes: ")
    assert before == f"ckpt_path={value}"
    assert compose("train", shlex.split(pasted)).ckpt_path == value


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("seed = 1", "not KEY=VALUE in Hydra's grammar, "),
        (" seed=1", "not KEY=VALUE in Hydra's grammar, "),
        ("last", "settings are KEY=VALUE; gan evaluate --help lists the keys"),
    ],
)
def test_what_is_no_override_is_one_line(override, reason):
    with pytest.raises(HydraException) as raised:
        compose("evaluate", [override])
    assert explain(raised.value, "evaluate").startswith(f"{override}: {reason}")


def test_the_entries_of_a_list_are_quoted():
    with pytest.raises(HydraException) as raised:
        compose("evaluate", ["ckpt=[lr=0.1/a.ckpt,b.ckpt]"])
    (pasted,) = shlex.split(explain(raised.value).partition(": needs quotes: ")[2])
    assert compose("evaluate", [pasted]).ckpt == ["lr=0.1/a.ckpt", "b.ckpt"]


def test_several_values_are_a_text_a_list_or_a_sweep():
    with pytest.raises(HydraException) as raised:
        compose("evaluate", ["ckpt=a,b.ckpt"])
    line = explain(raised.value, "evaluate")
    assert explain(raised.value, "train") == f"{line}; for a sweep over the values: gan train --multirun"
    text, several = re.fullmatch(r"ckpt=a,b\.ckpt: for a text: (.*); for a list: (.*)", line).groups()
    assert compose("evaluate", shlex.split(text)).ckpt == "a,b.ckpt"
    assert compose("evaluate", shlex.split(several)).ckpt == ["a", "b.ckpt"]
