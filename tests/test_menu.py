import pytest

from gan.menu import choose

ALL = ["train", "evaluate", "generate", "serve", "export"]


def scripted(*answers):
    remaining = iter(answers)

    def ask(prompt):
        answer = next(remaining)
        if isinstance(answer, type):
            raise answer
        return answer

    return ask


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (["1"], ["train", "experiment=quick"]),
        ([""], ["train", "experiment=quick"]),
        (["2", "", ""], ["train", "experiment=system_a"]),
        (["2", "x", "d", "3"], ["train", "experiment=system_d", "trainer.max_epochs=3"]),
        (["3"], ["train", "ckpt_path=last"]),
        (["4"], ["evaluate", "ckpt=last"]),
        (["5", "-1", "100"], ["generate", "ckpt=last", "num_images=100"]),
        (["6", ""], ["export", "ckpt=last", "format=onnx"]),
        (["7", "70000", "9000"], ["serve", "ckpt=last", "port=9000"]),
        (["0", "9", "three", "4"], ["evaluate", "ckpt=last"]),
    ],
)
def test_answers_become_arguments_and_the_command_is_shown(answers, expected, capsys):
    assert choose(ALL, scripted(*answers)) == expected
    assert "gan " + " ".join(expected) in capsys.readouterr().out


@pytest.mark.parametrize("answers", [["q"], [EOFError], [KeyboardInterrupt], ["2", EOFError], ["5", KeyboardInterrupt]])
def test_leaving_is_always_possible(answers):
    assert choose(ALL, scripted(*answers)) is None


def test_only_existing_commands_are_offered(capsys):
    assert choose(["train"], scripted("4", "q")) is None
    shown = capsys.readouterr().out
    assert "Continue the newest" in shown
    assert "Serve" not in shown
