"""The short form of `bench/kills.py`: a run that is killed at random moments ends as an undisturbed one."""

import subprocess
from pathlib import Path

import pytest

SHORT = ["trainer.max_epochs=2", "trainer.limit_train_batches=16"]
ARGUMENTS = ["--kills", "3", "--variants", "csv", "--settings", *SHORT]
BENCH = Path(__file__).parents[2] / "bench" / "kills.py"


@pytest.mark.process
def test_killed_runs_end_as_undisturbed_ones(python):
    line = f"import runpy, sys; sys.argv[1:] = {ARGUMENTS!r}; runpy.run_path({str(BENCH)!r}, run_name='__main__')"
    ended = subprocess.run([python, "-c", line], capture_output=True, text=True, encoding="utf-8", timeout=240)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.splitlines()[-1] == "3 kills, 0 differences"
