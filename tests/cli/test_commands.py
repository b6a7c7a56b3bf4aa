"""What `gan` does before a command runs, and completion in a shell."""

import shutil
import subprocess
import sys
from importlib import metadata

import pytest

import gan as package
from gan.cli import commands as cli


def test_without_a_command_it_lists_the_commands(gan):
    for arguments in ((), ("--help",)):
        code, out, _ = gan(*arguments)
        assert code == 0
        assert all(name in out for name in cli.COMMANDS)


def test_the_version(gan):
    assert gan("--version") == (0, f"gan {package.__version__}\n", "")
    assert metadata.version("mnist-gan") == package.__version__


def test_the_version_of_a_command_is_its_own(gan):
    assert gan("train", "--version")[:2] == (0, f"gan {package.__version__}\n")


def test_an_unknown_command_is_one_line(gan):
    known = ", ".join(cli.COMMANDS)
    assert gan("trian") == (2, "", f"gan: trian: no such command; there is {known}\n")


@pytest.mark.process
def test_help_imports_nothing_heavy():
    code = "import sys; sys.argv = ['gan', '--help']; from gan.cli import main; main(); print(sorted(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"'torch'", "'lightning'", "'hydra'", "'numpy'"} & set(out.replace("[", "").replace("]", "").split(", "))


@pytest.fixture
def completed(gan, monkeypatch):
    """A function from a typed line to the words that may stand at its end."""

    def query(line):
        monkeypatch.setenv("COMP_LINE", line)
        code, out, err = gan("-sc", "query=bash")
        assert (code, err) == (0, "")
        return out.split()

    return query


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("gan ", [*cli.COMMANDS]),
        ("gan tr", ["train"]),
        ("gan train model=dcgan_", ["model=dcgan_compact", "model=dcgan_deep", "model=dcgan_ttur"]),
        ("gan train data=digits --multirun loss=hin", ["loss=hinge"]),
        ("gan train model=dcgan trainer.max_e", ["trainer.max_epochs="]),
        ("gan generate --cf", ["--cfg"]),
        ("gan evaluate ckpt=last data=dig", ["data=digits"]),
        ("gan serve root", ["root_path="]),
        ("gan generate mo", ["mode="]),  # model is a group of train
        ("gan generate +mo", []),
        ("gan nothing mod", []),
        ("gan train --nothing mod", []),
    ],
)
def test_commands_keys_configs_and_flags_are_completed(completed, line, words):
    assert completed(line) == words


@pytest.mark.parametrize("words", [(), ("bash",), ("install=tcsh",), ("install=bash", "query=bash")])
def test_another_word_is_one_line(gan, words):
    code, _, err = gan("-sc", *words)
    assert (code, err.count("\n")) == (2, 1)
    assert "install=SHELL" in err


@pytest.mark.process
@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
def test_bash_completes(python, tmp_path):
    program = tmp_path / "gan"
    code = "import sys; sys.argv[0] = 'gan'; from gan.cli import main; main()"
    program.write_text(f'#!/bin/sh\nexec {python} -c "{code}" "$@"\n')
    program.chmod(0o755)
    script = f"""PATH={tmp_path}:$PATH
        eval "$(gan --shell-completion install=bash)"
        complete -p gan
        COMP_LINE="gan train loss=hin" COMP_CWORD=2
        hydra_bash_completion
        echo "${{COMPREPLY[@]}}"
        """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "loss=hinge", done.stderr
    assert "hydra_bash_completion gan" in done.stdout
