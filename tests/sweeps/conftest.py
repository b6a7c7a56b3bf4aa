"""Sweeps of jobs that take a moment, under the name s."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf
from tiny_runs import SWEPT, WITH_EXTENSION

from gan.config import CONFIG_DIR

LINE = ("gan", "train", "--multirun", *SWEPT, "sweep_name=s")

# What the launcher calls: one array at a time, whose tasks run one after the other; `queue` is there while it does.
SLURM = {
    "squeue": 'cat "$STATE/queue" 2> /dev/null || true',
    "scontrol": '[ "$1" = requeue ] && touch "$STATE/requeued"',
    "srun": 'while [ "$1" != "$PYTHON" ]; do shift; done; "$@"',
    "sbatch": """
        echo 7 > "$STATE/queue"
        echo "Submitted batch job 7"
        cp "$1" "$STATE/submitted"
        (
            export SLURM_JOB_ID=7 SLURM_ARRAY_JOB_ID=7 SLURM_JOB_NAME=gan SLURM_NTASKS=1 SLURM_PROCID=0 SLURM_LOCALID=0
            export SLURM_NODEID=0 SLURM_CPUS_PER_TASK=1
            for SLURM_ARRAY_TASK_ID in 0 1; do
                export SLURM_ARRAY_TASK_ID
                bash "$STATE/submitted"
                if [ -e "$STATE/requeued" ]; then rm "$STATE/requeued"; bash "$STATE/submitted"; fi
            done
            rm "$STATE/queue"
        ) > "$STATE/output" 2>&1 &
    """,
}


@pytest.fixture
def no_figure(monkeypatch):
    """Has sweeps draw nothing: of a job that takes a moment, the figure after it would take most."""
    blank = SimpleNamespace(savefig=lambda file, **options: file.write(b"no picture"))
    monkeypatch.setattr("gan.sweeps.figure.plot", lambda jobs, keys: blank)


@pytest.fixture
def sweep(gan):
    """Runs `gan train --multirun` under the name s: its exit code, and all that it printed."""

    def command(*arguments):
        code, out, err = gan(*LINE[1:], *arguments)
        return code, out + err

    return command


@pytest.fixture
def sweep_of_processes(sweep, monkeypatch):
    """As `sweep`, of jobs that are processes of their own and import what this one does."""
    monkeypatch.setenv("PYTHONPATH", WITH_EXTENSION)
    return sweep


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "outputs" / "multirun" / "s"


@pytest.fixture
def table(folder):
    """A function that reads the table of the sweep, or of one in another folder."""

    def read(of=folder):
        with (of / "sweep.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    return read


@pytest.fixture
def killed(tmp_path, python):
    """Runs such a sweep in a process that kills itself."""

    def command(*arguments):
        line = [python, "-m", *LINE, *arguments]
        environment = {**os.environ, "PYTHONPATH": WITH_EXTENSION}
        finished = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
        assert finished.returncode == -signal.SIGKILL, finished.stderr

    return command


@pytest.fixture
def finished(shared, sweep, folder, no_figure):
    """The folder of a sweep whose two jobs have ended."""

    def fill(kept):
        assert sweep("seed=1,2")[0] == 0
        shutil.move(folder, kept)

    return shutil.copytree(shared("sweep", fill), folder)


@pytest.fixture
def job(tmp_path):
    """A function that writes the folder of a run that may not have ended."""

    def written(name, overrides, score=None, ended=True, root=tmp_path / "s"):
        folder = root / name
        (folder / ".hydra").mkdir(parents=True)
        (folder / "checkpoints").mkdir()
        OmegaConf.save(OmegaConf.create(overrides), folder / ".hydra" / "overrides.yaml")
        sources = [{"provider": "main", "path": str(CONFIG_DIR)}, {"provider": "command-line", "path": "/my configs"}]
        OmegaConf.save({"hydra": {"runtime": {"config_sources": sources}}}, folder / ".hydra" / "hydra.yaml")
        metrics = {"val/is_std_mnist": 0.1, "val/fid_mnist": score, "train/loss": 1.0}
        best = {"images_seen": 320, "monitor": "val/fid_mnist", "metrics": metrics}
        for file in ("best.json", "last.json"):
            (folder / "checkpoints" / file).write_text(json.dumps(best))
        if ended:
            (folder / "summary.json").write_text(json.dumps({"minutes": 1.5}))
        return folder

    return written


@pytest.fixture
def snare():
    """A function to overrides that note each job's start in `started` and end one of them."""

    def overrides(job="null", how="kill"):
        given = {"notes": "started", "run": "${output_dir}", "job": job, "how": how}
        lines = (f"+callbacks.snare.{key}={value}" for key, value in given.items())
        return ("+callbacks.snare._target_=snare.Snare", *lines)

    return overrides


@pytest.fixture
def started(tmp_path):
    """A function that reads which jobs were started."""
    return lambda: (tmp_path / "started").read_text().split()


@pytest.fixture
def basic_launcher():
    """Hydra's launcher class. Hydra imports its plugins again when it loads them, so that comes first."""
    from hydra.core.plugins import Plugins

    Plugins.instance()
    from hydra._internal.core_plugins.basic_launcher import BasicLauncher

    return BasicLauncher


@pytest.fixture
def warm(monkeypatch, python):
    """What jobs are started with."""
    monkeypatch.setattr(sys, "executable", python)
    return python


@pytest.fixture
def slurm(monkeypatch, tmp_path, warm):
    """SLURM's commands; their state is in the folder that is returned."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    for name, text in SLURM.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("STATE", str(folder))
    monkeypatch.setenv("PYTHON", warm)
    return folder
