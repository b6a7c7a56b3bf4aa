import shlex
from unittest.mock import Mock

import pytest

from gan.cli.commands import COMMANDS
from gan.cli.menu import TASKS, choose


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (["1"], ["train", "experiment=quick"]),
        ([""], ["train", "experiment=quick"]),
        (["2", "", ""], ["train", "experiment=system_a"]),
        (["2", "x", "d", "3"], ["train", "experiment=system_d", "trainer.max_epochs=3"]),
        (["3"], ["train", "ckpt_path=last"]),
        (["4"], ["evaluate", "ckpt=last"]),
        (["0", "99", "three", "4"], ["evaluate", "ckpt=last"]),
        (["5", ""], ["generate", "digits=all"]),
        (["5", "3a", "314"], ["generate", "digits=[3,1,4]"]),
        (["6"], ["generate", "mode=walk"]),
        (["7", "0", "500"], ["generate", "num_images=500", "format=npz"]),
    ],
)
def test_answers_become_arguments_and_the_command_is_shown(monkeypatch, answers, expected, capsys):
    monkeypatch.setattr("builtins.input", Mock(side_effect=answers))
    assert choose() == expected
    assert shlex.join(["gan", *expected]) in capsys.readouterr().out


@pytest.mark.parametrize(
    "answers", [["q"], [EOFError], [KeyboardInterrupt], ["2", EOFError], ["2", "a", KeyboardInterrupt]]
)
def test_leaving_is_always_possible(monkeypatch, answers):
    monkeypatch.setattr("builtins.input", Mock(side_effect=answers))
    assert choose() is None


def test_every_task_is_a_command_that_exists():
    assert {task.command for task in TASKS} <= COMMANDS.keys()
