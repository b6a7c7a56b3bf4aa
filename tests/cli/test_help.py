"""`gan COMMAND --help`: each key in a line, and examples that work."""

import shlex

import pytest
from omegaconf import OmegaConf

from gan.cli.commands import COMMANDS
from gan.cli.help import EXAMPLES, explained, group_keys
from gan.config import CONFIG_DIR
from gan.config.compose import compose
from gan.config.early_checks import check, groups_of
from gan.config.targets import leaves


@pytest.mark.parametrize("command", COMMANDS)
def test_every_key_has_a_line_and_a_comment(gan, command):
    code, out, err = gan(command, "--help")
    assert (code, err) == (0, "")
    keys = explained(CONFIG_DIR / f"{command}.yaml").keys
    own = leaves(OmegaConf.to_container(OmegaConf.load(CONFIG_DIR / f"{command}.yaml")))
    in_file = [key for key, _ in own if key.partition(".")[0] not in ("defaults", "hydra")]
    assert [key.name for key in keys if key.default] == in_file
    assert [key.name for key in keys if not key.comment] == []
    lines = [line.strip() for line in out.splitlines()]
    of_keys = lines[lines.index("keys:") + 1 :][: len(keys)]
    assert [line.partition("=")[0] for line in of_keys] == [key.name for key in keys]
    for group in groups_of(command):
        assert any(line.split()[:1] == [group] for line in lines), group
    assert f"usage: gan {command} [key=value ...]" in lines


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_group_has_its_choices_and_keys(gan, command):
    for group in groups_of(command):
        code, out, err = gan(command, "--help", group)
        assert (code, err) == (0, "")
        for file in (CONFIG_DIR / group).glob("*.yaml"):
            assert f"  {file.stem} " in out
        for key in group_keys(group):
            assert f"  {key.name}=" in out
    code, out, err = gan(command, "--help", "no_such_group")
    assert (code, len(err.strip().splitlines())) == (2, 1)
    assert "--help no_such_group" in err


def test_the_help_of_a_group_lists_own_configs(gan, tmp_path):
    folder = tmp_path / "mine" / "loss"
    folder.mkdir(parents=True)
    (folder / "squares.yaml").write_text("# @package model\n# Least squares\nloss: {_target_: mine.LeastSquares}\n")
    (folder / "empty.yaml").write_text("")
    code, out, err = gan("train", "--config-dir", "mine", "--help", "loss")
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert ["squares", "Least", "squares"] in lines
    assert ["empty"] in lines


def test_the_help_explains_every_key_of_a_run():
    keys = [
        *explained(CONFIG_DIR / "train.yaml").keys,
        *(key for group in groups_of("train") for key in group_keys(group)),
    ]
    names = tuple(f"{key.name}." for key in keys)
    choices = (
        "model=conditional",
        "logger=[csv,tensorboard,wandb]",
        "hardware=multi_gpu",
        "sweep=optuna",
        "launcher=slurm",
    )
    missing = [
        key
        for key, value in leaves(OmegaConf.to_container(compose("train", choices)))
        if "${" not in str(value) and "._" not in key and not f"{key}.".startswith(names)
    ]
    assert missing == []


def test_the_help_of_train_fits_a_screen(gan):
    lines = gan("train", "--help")[1].splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 120


def test_a_default_from_the_environment_is_shown_without_it(gan):
    out = gan("serve", "--help")[1]
    assert "port=8000 " in out
    assert "oc.env" not in out


@pytest.mark.parametrize(("command", "example"), [(name, each) for name, three in EXAMPLES.items() for each in three])
def test_examples_are_accepted(command, example, tmp_path, monkeypatch):
    assert len(EXAMPLES[command]) == 3
    monkeypatch.chdir(tmp_path)
    for name in ("a.ckpt", "b.ckpt"):
        (tmp_path / name).touch()
    words = shlex.split(example.partition(" > ")[0])
    assert words[:2] == ["gan", command]
    assert EXAMPLES.keys() == COMMANDS.keys()
    check(command, compose(command, words[2:]))
