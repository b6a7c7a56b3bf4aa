"""How a job ends is recorded in its folder; a user's interrupt ends the sweep, and is no outcome."""

import json

import pytest
from filelock import FileLock

from gan.errors import UserError

pytestmark = pytest.mark.usefixtures("no_figure")


@pytest.mark.slow
def test_an_interrupted_sweep_resumes(sweep, gan, folder, table, snare, started):
    grid = (*snare(1, "interrupt"), "seed=1,2,3", "ckpt_path=auto")
    code, out = sweep(*grid)
    assert (code, out.strip().splitlines()[-1]) == (130, "gan train: interrupted")
    assert [row["status"] for row in table()] == ["finished", "unfinished"]
    (folder / "1" / "kept").write_text("what a checkpoint would be")
    with FileLock(folder / ".lock"):
        assert "| running " in gan("sweeps", "sweep_name=s")[1]
        code, out = sweep(*grid)
        assert (code, out.strip()) == (2, "gan train: sweep_name=s: another process runs this sweep")
    assert sweep(*grid)[0] == 0
    assert started() == ["0", "1", "1", "2"]
    assert (folder / "1" / "kept").exists()


def test_the_reason_of_a_failed_job_is_one_line_and_other_jobs_run(sweep, folder, table, monkeypatch):
    errors = {1: SystemExit(3), 2: ValueError("two\nlines"), 3: UserError("seed=3: a mistake")}

    def fail(cfg):
        raise errors[cfg.seed]

    monkeypatch.setattr("gan.train.train", fail)
    code, out = sweep("seed=1,2,3")
    assert (code, [row["status"] for row in table()]) == (1, ["failed"] * 3)
    reasons = ["it ended with exit status 3", "ValueError: two lines", "seed=3: a mistake"]
    assert [row["reason"] for row in table()] == reasons
    assert all(f"job {number} failed: {reason}" in out for number, reason in enumerate(reasons))
    outcomes = [json.loads((folder / job / "job.json").read_text()) for job in "012"]
    assert [bool(outcome["traceback"]) for outcome in outcomes] == [True, True, False]
