"""A package that is missing, and the command that installs it."""

import shlex
import sys

import pytest

from gan.errors import UserError, check_installed, pip_install


def test_only_what_is_missing_is_named_with_the_command_for_its_extra():
    check_installed("gan serve", "serve", "torch", "gan")
    with pytest.raises(UserError) as raised:
        check_installed("gan serve", "serve", "torch", "not_there", "nor_this")
    assert str(raised.value) == f"gan serve needs not_there and nor_this; {pip_install('serve')}"


@pytest.mark.parametrize(("extra", "package"), [(None, "mnist-gan"), ("serve", "mnist-gan[serve]")])
@pytest.mark.parametrize("name", ["python", "my python"])
@pytest.mark.parametrize("with_pip", [True, False])
def test_the_command_installs_into_this_python_and_can_be_pasted(monkeypatch, tmp_path, extra, package, name, with_pip):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / name))
    monkeypatch.setattr("gan.errors.find_spec", lambda name: name if with_pip else None)
    of_pip, of_uv = [f"bin/{name}", "-m", "pip", "install"], ["uv", "pip", "install", "--python", f"bin/{name}"]
    assert shlex.split(pip_install(extra)) == [*(of_pip if with_pip else of_uv), package]
