"""What is installed, and what the working folder has."""

from importlib import metadata

import pytest

from gan.doctor import software


@pytest.fixture
def no_packages(monkeypatch):
    def version(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(software, "version", version)


@pytest.mark.usefixtures("no_programs", "no_packages")
def test_what_is_not_installed_has_the_command_that_helps():
    command = software.program().command
    assert "activate" in command or "PATH" in command
    assert software.libraries().command.endswith("-m pip install mnist-gan")
    for name, use in software.EXTRAS.items():
        text, command = software.extra(name)
        assert text.endswith(f", for {use}")
        assert command.endswith(f"-m pip install 'mnist-gan[{name}]'")
    assert software.slurm().command == "gan train --multirun launcher=parallel seed=0,1"


def test_the_folder_of_the_data_is_made_first_and_then_filled(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert software.mnist("data").command == "gan train experiment=debug"
    assert software.mnist("mine") == (f"there is no folder {tmp_path}/mine", f"mkdir -p {tmp_path}/mine")
    (tmp_path / "mine").mkdir()
    assert software.mnist("mine").command == "gan train experiment=debug data.dir=mine"


def test_the_newest_run_is_told_and_whether_it_has_a_checkpoint(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert software.runs().text == "none in this folder"
    run = tmp_path / "outputs" / "train" / "a"
    (run / ".hydra").mkdir(parents=True)
    (run / ".hydra" / "overrides.yaml").touch()
    assert software.runs().text == f"the newest, {run}, has no checkpoint yet"
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "last.ckpt").touch()
    assert software.runs().text.startswith(f"the newest: {run}; gan train ckpt_path=last")
