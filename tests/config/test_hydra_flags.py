"""Hydra's flags: where they may stand, which are refused, and what is said of them."""

import argparse

import pytest

from gan.config.hydra_flags import flags_help, parser, split_flags
from gan.errors import UserError


def test_flags_stand_anywhere():
    for words in (["-c", "job", "a=1", "b=2"], ["a=1", "-c", "job", "b=2"], ["a=1", "b=2", "-c", "job"]):
        flags, options, overrides = split_flags(words)
        assert (flags, options.cfg, overrides) == (["-c", "job"], "job", ["a=1", "b=2"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--multrun", "seed=1"], "--multrun"),
        (["seed=1", "--config-dir"], "--config-dir"),
        (["--experiment=quick"], "unrecognized arguments: --experiment=quick"),
        (["--cfg", "jb"], "invalid choice: 'jb'"),
        (["--resolve"], "--resolve: only with --cfg"),
        (["--package", "model"], "--package: only with --cfg"),
        (["--experimental-rerun", "job.pickle"], "--experimental-rerun: ckpt_path=last"),
        (["--multirun", "--cfg", "job"], "--multirun --cfg: only one of them"),
    ],
)
def test_a_wrong_flag_is_one_line(arguments, words):
    with pytest.raises(UserError, match=words) as raised:
        split_flags(arguments)
    assert "\n" not in str(raised.value)


def test_the_help_of_each_flag_is_text():
    text = flags_help()
    assert "--config-dir" in text
    assert "install=fish" in text


def test_pythons_that_check_each_help_at_once_take_hydras_flags(monkeypatch):
    """As Python 3.14 does."""

    def check(self, action):
        if not isinstance(action.help, str):
            raise ValueError("badly formed help string")

    monkeypatch.setattr(argparse._ActionsContainer, "_check_help", check, raising=False)
    assert parser().parse_args(["--multirun"]).multirun
    assert argparse._ActionsContainer._check_help is check
