"""`gan doctor`: a line for each thing, and a command below each that is missing."""

import shutil
from importlib import metadata

import pytest
import torch
from miniature import write_mnist

import gan as package
from gan.config import compose
from gan.doctor import command as checks
from gan.doctor.command import doctor
from gan.errors import UserError

GIB = 2**30


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


def test_what_is_no_path_is_refused(checked):
    for wrong in ("null", "[mine]"):
        with pytest.raises(UserError, match=r"data\.dir=.*: the path of a folder"):
            checked(f"data.dir={wrong}")


def test_a_library_that_is_broken_ends_no_other_line(checked, monkeypatch):
    def broken(*arguments):
        raise ImportError("libcudart.so.13: cannot open shared object file")

    monkeypatch.setattr("gan.hardware.device_name", broken)
    found = checked()
    assert found["devices"] == ("missing", "ImportError: libcudart.so.13: cannot open shared object file", "make setup")
    assert found["disk"][1]


@pytest.mark.parametrize(("left", "helps"), [(GIB, False), (GIB // 2, True)])
def test_little_memory_or_disk_is_told_with_what_takes_it(monkeypatch, left, helps):
    monkeypatch.setattr(checks, "memory_left", lambda: left)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(4 * GIB, 4 * GIB - left, left))
    memory, disk = checks.memory(), checks.disk()
    assert memory.text == f"{left / GIB} GiB left"
    assert disk.text.startswith(f"{left / GIB} GiB left in /")
    assert (memory.command or "").startswith("ps ") == (disk.command or "").startswith("du ") == helps


def test_the_compiler_is_the_one_that_torch_takes(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if name == "clang++" else None)
    monkeypatch.setenv("CXX", "clang++")
    assert checks.compiler() == ("/usr/bin/clang++, for compile=true", None)


def test_a_card_that_torch_does_not_find_is_told(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/nvidia-smi" if name == "nvidia-smi" else None)
    text, command = checks.devices()
    assert text.endswith("; torch does not find the NVIDIA card")
    assert command == "nvidia-smi"


@pytest.mark.parametrize(
    ("check", "here", "user", "command"),
    [
        (checks.compiler, "apk", 1000, "sudo apk add g++"),
        (checks.compiler, "apk", 0, "apk add g++"),
        (checks.compiler, "brew", 1000, "brew install gcc"),
        (checks.compiler, None, 1000, "sudo apt-get install g++"),
        (checks.chromium, None, 1000, "sudo apt-get install chromium chromium-driver"),
    ],
)
def test_the_package_manager_that_is_here_installs(monkeypatch, check, here, user, command):
    monkeypatch.setattr("os.geteuid", lambda: user)
    monkeypatch.setattr(shutil, "which", lambda name: name if name == here else None)
    assert check().command == command


def test_what_is_not_installed_has_the_command_that_helps(monkeypatch):
    def version(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(checks, "version", version)
    command = checks.program().command
    assert "activate" in command or "PATH" in command
    assert checks.libraries().command.endswith("-m pip install mnist-gan")
    for name, use in checks.EXTRAS.items():
        text, command = checks.extra(name)
        assert text.endswith(f", for {use}")
        assert command.endswith(f"-m pip install 'mnist-gan[{name}]'")
    assert checks.slurm().command == "gan train --multirun launcher=parallel seed=0,1"


def test_the_folder_of_the_data_is_made_first_and_then_filled(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert checks.mnist("data").command == "gan train experiment=debug"
    assert checks.mnist("mine") == (f"there is no folder {tmp_path}/mine", f"mkdir -p {tmp_path}/mine")
    (tmp_path / "mine").mkdir()
    assert checks.mnist("mine").command == "gan train experiment=debug data.dir=mine"


def test_the_newest_run_is_told_and_whether_it_has_a_checkpoint(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert checks.runs().text == "none in this folder"
    run = tmp_path / "outputs" / "train" / "a"
    (run / ".hydra").mkdir(parents=True)
    (run / ".hydra" / "overrides.yaml").touch()
    assert checks.runs().text == f"the newest, {run}, has no checkpoint yet"
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "last.ckpt").touch()
    assert checks.runs().text.startswith(f"the newest: {run}; gan train ckpt_path=last")
