"""Sweeps resume, survive failing jobs, and leave a table, a figure and a command line."""

import csv
import json
import shlex
import shutil
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from hydra.core.plugins import Plugins
from omegaconf import OmegaConf
from tiny_runs import SEARCH

from gan.config import CONFIG_DIR


def snare(job="null", how="kill"):
    """Overrides that note each job's start in `started` and end one of them."""
    given = {"notes": "started", "run": "${output_dir}", "job": job, "how": how}
    return (
        "+callbacks.snare._target_=snare.Snare",
        *(f"+callbacks.snare.{key}={value}" for key, value in given.items()),
    )


@pytest.fixture
def basic_launcher():
    """Hydra's launcher class. Hydra imports its plugins again when it loads them, so that comes first."""
    Plugins.instance()
    from hydra._internal.core_plugins.basic_launcher import BasicLauncher

    return BasicLauncher


@pytest.fixture
def finished(shared, sweep, folder):
    """The folder of a sweep whose two jobs have ended."""

    def fill(kept):
        assert sweep("seed=1,2")[0] == 0
        shutil.move(folder, kept)

    return shutil.copytree(shared("sweep", fill), folder)


def rows(folder):
    with (folder / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def started(tmp_path):
    return (tmp_path / "started").read_text().split()


@pytest.mark.slow
def test_a_grid_with_a_failing_job(sweep, gan, folder, tmp_path):
    """It leaves a table, a figure, and a command line that repeats the best job to the bit. Failed jobs run again."""
    code, out = sweep(*snare(2, "raise"), "seed=1,2,3,4")
    assert code == 1
    assert "job 2 failed: RuntimeError: snared" in out
    table = rows(folder)
    assert [(row["seed"], row["status"]) for row in table] == [
        *(("1", "finished"), ("2", "finished")),
        *(("3", "failed"), ("4", "finished")),
    ]
    assert [row["reason"] for row in table] == ["", "", "RuntimeError: snared", ""]
    assert json.loads((folder / "2" / "job.json").read_text())["traceback"][-1] == "RuntimeError: snared"
    assert (folder / "sweep.png").read_bytes().startswith(b"\x89PNG")
    best = (
        folder / min((row for row in table if row["val/fid_mnist"]), key=lambda row: float(row["val/fid_mnist"]))["job"]
    )
    (line,) = [line for line in (folder / "sweep.md").read_text().splitlines() if line.startswith("    gan train ")]
    arguments = shlex.split(line)[1:]
    assert json.loads((best / "summary.json").read_text())["command"] == " ".join(["gan", *arguments])

    assert gan(*arguments, "hydra.run.dir=alone")[0] == 0
    alone, job = (torch.load(path / "checkpoints" / "last.ckpt", weights_only=True) for path in (Path("alone"), best))
    assert alone["state_dict"].keys() == job["state_dict"].keys()
    assert all(torch.equal(value, job["state_dict"][name]) for name, value in alone["state_dict"].items())

    (tmp_path / "started").unlink()
    before = (best / "checkpoints" / "last.ckpt").read_bytes()
    code, out = sweep(*snare(2, "raise"), "seed=5,3,1")
    assert "2 of 3 jobs to run" in out
    assert (code, started(tmp_path)) == (1, ["2", "4"])  # the notes are gone, so job 2 is caught again
    assert (best / "checkpoints" / "last.ckpt").read_bytes() == before
    assert [row["seed"] for row in rows(folder)] == ["1", "2", "3", "4", "5"]


@pytest.mark.slow
def test_a_finished_job_whose_config_was_edited_since_gets_a_warning(sweep, finished):
    composed = finished / "1" / ".hydra" / "config.yaml"
    cfg = OmegaConf.load(composed)
    cfg.model.latent_dim += 1
    OmegaConf.save(cfg, composed)
    code, out = sweep("seed=1,2")
    assert code == 0
    assert "job 1 ran with another model.latent_dim; a new sweep_name starts a new sweep" in out
    assert "job 0 ran" not in out


@pytest.mark.process
def test_a_killed_grid_runs_what_is_missing(sweep, killed, folder, tmp_path):
    grid = (*snare(2), "seed=1,2,3,4")
    killed(*grid)
    assert [row["status"] for row in rows(folder)] == ["finished", "finished"]
    stray = folder / "2" / "stray"
    stray.write_text("of the run that was killed")
    assert sweep(*grid)[0] == 0
    assert started(tmp_path) == ["0", "1", "2", "2", "3"]
    assert not stray.exists()
    assert [(row["seed"], row["status"]) for row in rows(folder)] == [(str(seed), "finished") for seed in range(1, 5)]
    assert sweep(*grid)[0] == 0
    assert len(started(tmp_path)) == 5


@pytest.mark.process
def test_a_killed_search_resumes_with_the_same_settings(sweep, killed, folder, tmp_path):
    search = (*SEARCH, *snare(2), "model.loss.label_smoothing=interval(0,0.2)", "data.batch_size=choice(8,16)")
    killed(*search)
    for _ in range(2):
        assert sweep(*search)[0] == 0
        assert started(tmp_path) == ["0", "1", "2", "2", "3"]
    resumed = rows(folder)
    assert [row["status"] for row in resumed] == ["finished"] * 4
    assert len({row["model.loss.label_smoothing"] for row in resumed}) == 4

    code, out = sweep(*search, "data.batch_size=choice(8,20)")
    assert (code, len(out.strip().splitlines())) == (2, 1)
    assert "sweep_name=s: data.batch_size is CategoricalDistribution(choices=('8', '20')), but was" in out
    assert "the name of an Optuna search" in sweep("seed=1,2")[1]

    sweep(*search, "hydra.sweeper.n_trials=3", "sweep_name=whole")
    whole = rows(folder.parent / "whole")
    assert [{**row, "minutes": ""} for row in whole] == [{**row, "minutes": ""} for row in resumed[:3]]


@pytest.mark.slow
@pytest.mark.parametrize("search", sorted(path.stem for path in (CONFIG_DIR / "sweep").glob("optuna*.yaml")))
def test_searches_of_the_package(sweep, folder, search):
    assert sweep(f"sweep={search}", "n_trials=1")[0] == 0
    config = OmegaConf.load(folder / "0" / "config.yaml")
    assert 2e-5 <= config.model.generator_optimizer.lr <= 1e-2


@pytest.mark.slow
def test_a_search_counts_failures_and_jobs_at_a_time(sweep, folder, monkeypatch, basic_launcher):
    batches = []
    launch = basic_launcher.launch
    monkeypatch.setattr(
        basic_launcher, "launch", lambda self, jobs, **kw: batches.append(len(jobs)) or launch(self, jobs, **kw)
    )
    space = ("hydra/sweeper=optuna", "hydra.sweeper.n_jobs=2", "hydra.sweeper.n_trials=3")
    code, out = sweep(*space, "data.batch_size=choice(70000,80000)")
    assert (code, batches) == (1, [2, 1])
    assert "job 0 failed: data.batch_size=" in out
    assert [row["status"] for row in rows(folder)] == ["failed"] * 3
    assert "1 or more" in sweep(*space, "hydra.sweeper.n_jobs=0", "seed=range(1,9)")[1]
    assert "no setting to search over" in sweep(*space)[1]


@pytest.mark.slow
def test_an_interrupted_sweep_resumes(sweep, gan, folder, tmp_path):
    grid = (*snare(1, "interrupt"), "seed=1,2,3", "ckpt_path=auto")
    code, out = sweep(*grid)
    assert (code, out.strip().splitlines()[-1]) == (130, "gan train: interrupted")
    assert [row["status"] for row in rows(folder)] == ["finished", "unfinished"]
    (folder / "1" / "kept").write_text("what a checkpoint would be")
    with FileLock(folder / ".lock"):
        assert "| running " in gan("sweeps", "sweep_name=s")[1]
        code, out = sweep(*grid)
        assert (code, out.strip()) == (2, "gan train: sweep_name=s: another process runs this sweep")
    assert sweep(*grid)[0] == 0
    assert started(tmp_path) == ["0", "1", "1", "2"]
    assert (folder / "1" / "kept").exists()


def test_a_launcher_that_fails_leaves_failed_jobs_in_the_folder_that_is_meant(
    sweep, tmp_path, monkeypatch, basic_launcher
):
    batch = []

    def launch(self, jobs, initial_job_idx):
        batch.extend(jobs)
        raise OSError("a worker was killed")

    monkeypatch.setattr(basic_launcher, "launch", launch)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    code, out = sweep("seed=1,2", "hydra.sweep.dir='~/my sweep'")
    assert code == 1
    assert "the launcher failed: OSError: a worker was killed" in out
    folder = tmp_path / "home" / "my sweep"
    assert all(json.loads((folder / job / "job.json").read_text())["status"] == "failed" for job in "01")
    assert all(f'hydra.sweep.dir="{folder}"' in job for job in batch)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize(("name", "content"), [(".hydra/overrides.yaml", "a: [b"), ("summary.json", "[1]")])
def test_a_damaged_job_hides_no_other(gan, finished, name, content):
    (finished / "0" / name).write_text(content)
    code, out, _ = gan("sweeps", "sweep_name=s")
    assert code == 0
    assert "| 1   | finished |" in out
