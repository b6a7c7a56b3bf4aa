"""Jobs that run at the same time, in processes of their own."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from gan.errors import Stopped
from gan.sweeps import parallel_jobs


@pytest.mark.process
def test_parallel_jobs_share_the_cores_and_a_killed_job_ends_no_other(
    sweep_of_processes, folder, table, snare, tmp_path, monkeypatch, warm
):
    (tmp_path / "gan.py").write_text("raise RuntimeError('the user has a file of this name')")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(parallel_jobs, "cpu_count", lambda: 2)
    code, out = sweep_of_processes("launcher=parallel", "hydra.launcher.n_jobs=2", "seed=1,2,3", *snare(0))
    assert code == 1
    assert "3 jobs, 2 at a time, threads of each: 1" in out
    assert "[1] job 1: val/fid_mnist" in out
    assert [(row["seed"], row["status"]) for row in table()] == [("1", "failed"), ("2", "finished"), ("3", "finished")]
    summary = json.loads((folder / "1" / "summary.json").read_text())
    assert summary["device"] == "cpu (1 thread)"

    code, out = sweep_of_processes("launcher=local", "seed=1,2,3", *snare(0))  # the launcher is no setting of a job
    assert "1 of 3 jobs to run" in out
    assert (code, [row["status"] for row in table()]) == (0, ["finished"] * 3)


@pytest.mark.process
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_that_stops_the_sweep_has_its_jobs_save_first(tmp_path, monkeypatch, number, code):
    monkeypatch.syspath_prepend(Path(__file__).parent)  # a job's process imports what this one does
    from saving_job import SavingJob

    def stop():
        while not (tmp_path / "started").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    before = signal.signal(number, signal.default_int_handler)  # the tests themselves may run under nohup
    try:
        threading.Thread(target=stop, daemon=True).start()
        with pytest.raises(Stopped) as stopped:
            parallel_jobs.run_parallel(SavingJob(tmp_path), [[], []], 0, 1)
        assert signal.getsignal(number) == signal.default_int_handler
    finally:
        signal.signal(number, before)
    assert stopped.value.code == code
    assert (tmp_path / "saved").exists()


def test_each_gpu_has_its_job(monkeypatch):
    monkeypatch.setattr(parallel_jobs.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(parallel_jobs.torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert parallel_jobs.visible_gpus("auto") == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert parallel_jobs.visible_gpus("gpu") == ["3", "5"]
    assert parallel_jobs.visible_gpus("cpu") == []
