"""`gan sweeps` finds the newest sweep, one by its name, and folders of runs."""

import os
import shutil
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from gan.errors import UserError
from gan.sweeps.command import sweeps


def test_the_command_finds_sweeps(job, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no sweep under"):
        sweeps(OmegaConf.create({"sweep_name": None}))
    job("0", ["seed=1"], 3.0, root=tmp_path / "outputs" / "multirun" / "7")
    job("a", ["seed=1"], 3.0, root=tmp_path / "outputs" / "train")
    job("b", ["seed=2"], 2.0, root=tmp_path / "outputs" / "train")
    assert "# Sweep 7: 1 finished" in sweeps(OmegaConf.create({"sweep_name": None}))
    assert sweeps(OmegaConf.create({"sweep_name": 7})) in capsys.readouterr().out
    assert "that of job b" in sweeps(OmegaConf.create({"sweep_name": "outputs/train"}))
    assert sorted(path.name for path in (tmp_path / "outputs" / "train").iterdir()) == ["a", "b"]
    (tmp_path / "empty").mkdir()
    for named, words in {"empty": "has no runs in it", "nowhere": "there is no folder"}.items():
        with pytest.raises(UserError, match=f"sweep_name={named}: .*{words}"):
            sweeps(OmegaConf.create({"sweep_name": named}))


def test_folders_of_other_commands_are_no_jobs(job, tmp_path):
    shutil.rmtree(job("evaluated", ["ckpt=last"], root=tmp_path / "runs") / "checkpoints")
    with pytest.raises(UserError, match="has no runs in it"):
        sweeps(OmegaConf.create({"sweep_name": str(tmp_path / "runs")}))
    job("trained", ["seed=1"], 3.0, root=tmp_path / "runs")
    assert "evaluated" not in sweeps(OmegaConf.create({"sweep_name": str(tmp_path / "runs")}))


@pytest.mark.parametrize("locked", [False, True], ids=["its folder", "its lock"])
def test_a_sweep_that_may_not_be_written_is_shown(job, tmp_path, monkeypatch, locked):
    folder = job("0", ["seed=1"], 3.0, root=tmp_path / "s").parent
    (folder / ".lock").touch()
    (folder / "multirun.yaml").touch()
    # root may write anywhere
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK or (locked and Path(path).name != ".lock"))
    assert "# Sweep s: 1 finished" in sweeps(OmegaConf.create({"sweep_name": str(folder)}))
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "0", "multirun.yaml"]
