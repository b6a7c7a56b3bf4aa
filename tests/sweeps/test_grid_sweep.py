"""Grids resume, survive failing jobs, and leave a table, a figure and a command line."""

import json
import re
import shlex
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from tiny_runs import change_best_score

pytestmark = pytest.mark.usefixtures("no_figure")


@pytest.mark.slow
def test_a_grid_with_a_failing_job(sweep, gan, folder, table, snare, started, tmp_path):
    """It leaves a table, a figure, and a command line that repeats the best job to the bit. Failed jobs run again."""
    code, out = sweep(*snare(1, "raise"), "seed=1,2,3")
    assert code == 1
    assert "job 1 failed: RuntimeError: snared" in out
    rows = table()
    assert [(row["seed"], row["status"]) for row in rows] == [("1", "finished"), ("2", "failed"), ("3", "finished")]
    assert [row["reason"] for row in rows] == ["", "RuntimeError: snared", ""]
    assert json.loads((folder / "1" / "job.json").read_text())["traceback"][-1] == "RuntimeError: snared"
    assert (folder / "sweep.png").is_file()
    best = (
        folder / min((row for row in rows if row["val/fid_mnist"]), key=lambda row: float(row["val/fid_mnist"]))["job"]
    )
    (line,) = [line for line in (folder / "sweep.md").read_text().splitlines() if line.startswith("    gan train ")]
    arguments = shlex.split(line)[1:]
    assert json.loads((best / "summary.json").read_text())["command"] == line.strip()

    assert gan(*arguments, "hydra.run.dir=alone")[0] == 0
    alone, job = (torch.load(path / "checkpoints" / "last.ckpt", weights_only=True) for path in (Path("alone"), best))
    assert alone["state_dict"].keys() == job["state_dict"].keys()
    assert all(torch.equal(value, job["state_dict"][name]) for name, value in alone["state_dict"].items())

    (tmp_path / "started").unlink()
    before = (best / "checkpoints" / "last.ckpt").read_bytes()
    code, out = sweep(*snare(1, "raise"), "seed=4,2,1")
    assert "2 of 3 jobs to run" in out
    assert (code, started()) == (1, ["1", "3"])  # the notes are gone, so job 1 is caught again
    assert (best / "checkpoints" / "last.ckpt").read_bytes() == before
    assert [row["seed"] for row in table()] == ["1", "2", "3", "4"]


@pytest.mark.slow
def test_a_finished_job_whose_config_was_edited_since_gets_a_warning(sweep, finished):
    composed = finished / "1" / ".hydra" / "config.yaml"
    cfg = OmegaConf.load(composed)
    cfg.model.latent_dim += 1
    cfg.init_from = "first.ckpt"
    OmegaConf.save(cfg, composed)
    (finished / "0" / ".hydra" / "config.yaml").unlink()
    code, out = sweep("seed=1,2")
    assert code == 0
    assert "job 1 ran with another init_from, model.latent_dim; a new sweep_name starts a new sweep" in out
    assert "0/.hydra/config.yaml is damaged or missing" in out
    assert "job 0 ran" not in out

    composed.write_text("seed: 2\ndata:\n  batch_size: 3\n")
    assert re.search(r"job 1 ran with another data.batch_size, .* and \d+ more; a new", sweep("seed=1,2")[1])


@pytest.mark.process
def test_a_killed_grid_runs_what_is_missing(sweep, killed, folder, table, snare, started):
    grid = (*snare(1), "seed=1,2,3")
    killed(*grid)
    assert [row["status"] for row in table()] == ["finished"]
    stray = folder / "1" / "stray"
    stray.write_text("of the run that was killed")
    assert sweep(*grid)[0] == 0
    assert started() == ["0", "1", "1", "2"]
    assert not stray.exists()
    assert [(row["seed"], row["status"]) for row in table()] == [(str(seed), "finished") for seed in range(1, 4)]
    assert sweep(*grid)[0] == 0
    assert len(started()) == 4


@pytest.mark.slow
def test_values_of_a_config_group_in_braces_leave_its_choice(sweep, folder):
    code, out = sweep("data=digits", "data={val_size: 120}")
    assert code == 0, out
    data = OmegaConf.load(folder / "0" / "config.yaml").data
    assert (data.source._target_, data.val_size) == ("gan.data.Digits", 120)


def test_a_sweep_that_is_to_resume_finds_its_finished_jobs(sweep, finished):
    code, out = sweep("seed=1,2", "ckpt_path=auto")
    assert (code, "0 of 2 jobs to run" in out) == (0, True)


def test_a_setting_that_gets_more_values_keeps_its_finished_jobs(sweep, finished):
    code, out = sweep("seed=1,2", "+trainer.enable_progress_bar=choice(false)")  # which Hydra writes as False
    assert (code, "0 of 2 jobs to run" in out) == (0, True)


def test_a_job_that_resumes_another_run_has_a_score_of_its_own(sweep, folder, table, begun):
    change_best_score(begun, -1.0)
    code, _ = sweep(f"ckpt_path={begun}/checkpoints/last.ckpt", "trainer.max_epochs=2")
    assert code == 0
    last, best = (json.loads((folder / "0" / "checkpoints" / f"{name}.json").read_text()) for name in ("last", "best"))
    assert best["images_seen"] == last["images_seen"] == int(table()[0]["images"])
    assert float(table()[0]["val/fid_mnist"]) > 0


def test_jobs_may_log_nothing(sweep, folder):
    code, printed = sweep("seed=1", "hydra/job_logging=disabled")
    assert (code, "Traceback" in printed) == (0, False)
    assert not (folder / "0" / "run.log").exists()
