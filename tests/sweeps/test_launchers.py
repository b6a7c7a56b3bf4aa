"""Sweeps whose jobs run in processes of their own: several at a time, or under a stand-in for SLURM's commands."""

import csv
import json
import os
import sys
import time

import optuna
import pytest
from tiny_runs import NARROW, TINY, WITH_EXTENSION

from gan.cli import commands as cli
from gan.sweeps import parallel_jobs

SWEEP = (
    *("train", "--multirun", "sweep_name=s", *TINY, *NARROW, "trainer.limit_train_batches=1"),
    *("callbacks.measures.measures=[fid]", "~callbacks.plots", "~callbacks.samples"),
)

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
def sweep(monkeypatch, tmp_path, capfd, logging_kept):
    """A function that runs a sweep in an empty folder: its exit code and all that was printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", WITH_EXTENSION)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # remembered, so that what the command sets is taken back

    def command(*arguments, words=SWEEP):
        monkeypatch.setattr(sys, "argv", ["gan", *words, *arguments])
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        try:
            code = cli.main()
        except SystemExit as ended:
            code = ended.code
        return code, "".join(capfd.readouterr())

    return command


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


def rows(tmp_path):
    with (tmp_path / "outputs" / "multirun" / "s" / "sweep.csv").open(newline="") as file:
        return [(row.get("seed"), row["status"]) for row in csv.DictReader(file)]


@pytest.mark.process
def test_parallel_jobs_share_the_cores_and_a_killed_job_ends_no_other(sweep, tmp_path, monkeypatch, warm):
    (tmp_path / "gan.py").write_text("raise RuntimeError('the user has a file of this name')")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(parallel_jobs, "cpu_count", lambda: 2)
    snare = ("+callbacks.snare._target_=snare.Snare", "+callbacks.snare.notes=started")
    snare += ("+callbacks.snare.run=${output_dir}", "+callbacks.snare.job=0")
    code, out = sweep("launcher=parallel", "hydra.launcher.n_jobs=2", "seed=1,2,3", *snare)
    assert code == 1
    assert "3 jobs, 2 at a time, threads of each: 1" in out
    assert "[1] job 1: val/fid_mnist" in out
    assert rows(tmp_path) == [("1", "failed"), ("2", "finished"), ("3", "finished")]
    summary = json.loads((tmp_path / "outputs" / "multirun" / "s" / "1" / "summary.json").read_text())
    assert summary["device"] == "cpu (1 threads)"

    code, out = sweep("launcher=local", "seed=1,2,3", *snare)  # the launcher is no setting of a job
    assert "1 of 3 jobs to run" in out
    assert (code, rows(tmp_path)) == (0, [(seed, "finished") for seed in "123"])


def test_each_gpu_has_its_job(monkeypatch):
    monkeypatch.setattr(parallel_jobs.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(parallel_jobs.torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert parallel_jobs.visible_gpus("auto") == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert parallel_jobs.visible_gpus("gpu") == ["3", "5"]
    assert parallel_jobs.visible_gpus("cpu") == []


@pytest.mark.process
def test_a_job_ends_with_its_launcher():
    process = parallel_jobs.start((time.sleep, 600), dict(os.environ))
    process.stdin.close()  # as if the launcher's process had ended
    assert process.wait(60) == 1


@pytest.mark.process
def test_a_preempted_slurm_job_resumes(sweep, slurm, tmp_path):
    (tmp_path / "gan.py").write_text("raise RuntimeError('the user has a file of this name')")
    quick = ("hydra.launcher.poll_seconds=0.2", "hydra.launcher.cpus_per_task=1", "trainer.max_epochs=3")
    preempted = ("+callbacks.preempted._target_=preempted.Preempted", "+callbacks.preempted.notes=epochs")
    code, out = sweep("launcher=slurm", *quick, "seed=1,2", "+hydra.launcher.sbatch.account=me", *preempted)
    assert (code, rows(tmp_path)) == (0, [("1", "finished"), ("2", "finished")]), out
    assert (tmp_path / "epochs").read_text().split() == ["0", "1", "2", "0", "1", "2"]
    assert "resumed     after 2 epochs" in (tmp_path / "outputs" / "multirun" / "s" / "0" / "run.log").read_text()
    submitted = (slurm / "submitted").read_text()
    assert "#SBATCH --account=me" in submitted
    assert "#SBATCH --array=0-1%2" in submitted

    (slurm / "queue").write_text("7\n")
    code, out = sweep("launcher=slurm", *quick, "seed=1,2,3")
    assert (code, len(out.strip().splitlines())) == (2, 1)
    assert "SLURM still has its jobs 7" in out


@pytest.mark.process
@pytest.mark.parametrize("launcher", ["parallel", "slurm"])
def test_a_bad_trial_is_cut_by_what_other_processes_measured(sweep, slurm, tmp_path, launcher):
    """Both trials are handed over at once, so the search itself learns nothing before both have ended."""
    one_at_a_time = {"parallel": "hydra.launcher.n_jobs=1", "slurm": "hydra.launcher.poll_seconds=0.2"}[launcher]
    levels = ("+callbacks.levels._target_=levels.Levels", "+callbacks.levels.run=${output_dir}")
    code, out = sweep(
        *("hydra/sweeper=optuna", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=2", "seed=choice(1,2)"),
        *(*levels, "callbacks.checkpoints.monitor=val/level", "+hydra.sweeper.pruner.n_startup_trials=1"),
        *(f"launcher={launcher}", one_at_a_time, "trainer.max_epochs=2"),
    )
    folder = tmp_path / "outputs" / "multirun" / "s"
    assert (code, [status for _, status in rows(tmp_path)]) == (0, ["finished", "pruned"]), out
    assert "| images saved | minutes saved |" in (folder / "sweep.md").read_text()
    assert json.loads((folder / "1" / "summary.json").read_text())["epochs"] == 1
    study = optuna.load_study(study_name="sweep", storage=f"sqlite:///{folder / 'study.db'}")
    states = {trial.number: trial.state.name for trial in study.get_trials()}
    assert states == {0: "COMPLETE", 1: "PRUNED"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["launcher=parallel", "hydra.launcher.n_jobs=0"], "hydra.launcher.n_jobs=0: a whole number, 1 or more"),
        (["launcher=slurm"], "launcher=slurm: there is no sbatch here"),
        (["launcher=parallel", "hardware=cpu_ddp"], "a job of a sweep has one process"),
        (["hydra.sweep.subdir='${seed}'"], "hydra.sweep.subdir=${seed}: the number of a job names its folder"),
        (["hydra.run.dir=here"], "hydra.run.dir=here: a sweep's folder is outputs/multirun/SWEEP_NAME"),
    ],
)
def test_a_mistake_ends_a_sweep_before_it_starts(sweep, tmp_path, monkeypatch, arguments, words):
    monkeypatch.setenv("PATH", "/nowhere")
    code, out = sweep(*arguments, "seed=1,2")
    assert (code, len(out.strip().splitlines())) == (2, 1)
    assert words in out
    assert not (tmp_path / "outputs").exists()


@pytest.mark.process
def test_the_words_of_slurm_are_shown(sweep, slurm):
    (slurm / "sbatch").write_text("#!/bin/bash\necho 'sbatch: error: invalid account' >&2; exit 1\n")
    code, out = sweep("launcher=slurm", "seed=1,2")
    assert code == 2
    assert "launcher=slurm: sbatch failed: sbatch: error: invalid account" in out.strip().splitlines()[-1]

    old = 'for word in "$@"; do [ "$word" = --me ] && { echo "squeue: unrecognized option --me" >&2; exit 1; }; done'
    (slurm / "squeue").write_text(f"#!/bin/bash\n{old}\necho 'squeue: error: Invalid user' >&2; exit 1\n")
    code, out = sweep("launcher=slurm", "seed=1,2")
    assert (code, len(out.strip().splitlines())) == (2, 1)
    assert "--noheader --format=%F` failed: squeue: error: Invalid user" in out
