"""`gan doctor`: a line for each thing, and a command below each that is missing."""

import shutil

import pytest
import torch
from miniature import write_mnist

import gan as package
from gan.config import compose
from gan.doctor.command import doctor


def rows(text):
    """The state, the text and the command of each line."""
    found, name = {}, ""
    for line in text.splitlines()[:-1]:
        if line.lstrip().startswith("$ "):
            found[name] = (*found[name][:2], line.strip().removeprefix("$ "))
        else:
            name, state, about = line.split(maxsplit=2)
            found[name] = (state, about, None)
    return found


@pytest.fixture
def checked(monkeypatch, tmp_path, capsys):
    """A function from overrides to the rows of `doctor` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*overrides):
        text = doctor(compose("doctor", overrides))
        assert capsys.readouterr().out == text + "\n"
        return rows(text)

    return run


def test_it_prints_versions_and_exits_with_0(gan):
    code, out, err = gan("doctor")
    assert (code, err) == (0, "")
    found = rows(out)
    assert found["gan"][1].startswith(package.__version__)
    assert f"torch {torch.__version__.partition('+')[0]}" in found["libraries"][1]
    assert f"{torch.get_num_threads()} thread" in found["devices"][1]
    assert "GiB left" in found["memory"][1]
    assert "GiB left" in found["disk"][1]
    if not (torch.cuda.is_available() or torch.backends.mps.is_available()):
        assert found["precision"][1] == "gan train: 32-true on cpu; gan train experiment=quick: 32-true on cpu"
    assert all((state == "missing") == (command is not None) for state, _, command in found.values())


def test_nothing_is_missing_where_everything_is_found(checked, monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "nvidia-smi" else f"/usr/bin/{name}")
    write_mnist(tmp_path / "mine" / "MNIST" / "raw", train=200, test=60)
    found = checked(f"data.dir={tmp_path}/mine")
    assert {name: text for name, (state, text, _) in found.items() if state == "missing"} == {}
    assert found["mnist"][1] == f"in {tmp_path / 'mine'}"
    assert found["compiler"][1].startswith("/usr/bin/g++")


def test_a_library_that_is_broken_ends_no_other_line(checked, monkeypatch):
    def broken(*arguments):
        raise ImportError("libcudart.so.13: cannot open shared object file")

    monkeypatch.setattr("gan.hardware.device_name", broken)
    found = checked()
    assert found["devices"] == ("missing", "ImportError: libcudart.so.13: cannot open shared object file", "make setup")
    assert found["disk"][1]
