"""What `gan` does before a command runs."""

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


def test_an_unknown_command_is_one_line(gan):
    known = ", ".join(cli.COMMANDS)
    assert gan("trian") == (2, "", f"gan: trian: no such command; there is {known}\n")


@pytest.mark.process
def test_help_imports_nothing_heavy():
    code = "import sys; sys.argv = ['gan', '--help']; from gan.cli import main; main(); print(sorted(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"'torch'", "'lightning'", "'hydra'", "'numpy'"} & set(out.replace("[", "").replace("]", "").split(", "))
