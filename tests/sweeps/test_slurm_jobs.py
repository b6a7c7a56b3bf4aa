"""Jobs under a stand-in for SLURM's commands."""

import pytest


@pytest.mark.process
def test_a_preempted_slurm_job_resumes(sweep_of_processes, slurm, folder, table, tmp_path):
    (tmp_path / "gan.py").write_text("raise RuntimeError('the user has a file of this name')")
    quick = ("hydra.launcher.poll_seconds=0.2", "hydra.launcher.cpus_per_task=1", "trainer.max_epochs=3")
    preempted = ("+callbacks.preempted._target_=preempted.Preempted", "+callbacks.preempted.notes=epochs")
    code, out = sweep_of_processes(
        "launcher=slurm", *quick, "seed=1,2", "+hydra.launcher.sbatch.account=me", *preempted
    )
    assert (code, [(row["seed"], row["status"]) for row in table()]) == (0, [("1", "finished"), ("2", "finished")]), out
    assert (tmp_path / "epochs").read_text().split() == ["0", "1", "2", "0", "1", "2"]
    assert "resumed     after 32 images" in (folder / "0" / "run.log").read_text()
    submitted = (slurm / "submitted").read_text()
    assert "#SBATCH --account=me" in submitted
    assert "#SBATCH --array=0-1%2" in submitted

    (slurm / "queue").write_text("7\n")
    code, out = sweep_of_processes("launcher=slurm", *quick, "seed=1,2,3")
    assert (code, len(out.strip().splitlines())) == (2, 1)
    assert "SLURM still has its jobs 7" in out


@pytest.mark.process
def test_the_words_of_slurm_are_shown(sweep_of_processes, slurm):
    (slurm / "sbatch").write_text("#!/bin/bash\necho 'sbatch: error: invalid account' >&2; exit 1\n")
    code, out = sweep_of_processes("launcher=slurm", "seed=1,2")
    assert code == 2
    assert "launcher=slurm: sbatch failed: sbatch: error: invalid account" in out.strip().splitlines()[-1]

    code, out = sweep_of_processes("launcher=slurm", "seed=1,2", "sweep_name=d%j")
    assert (code, len(out.strip().splitlines())) == (2, 1)
    assert "/d%j: SLURM replaces % in paths; choose one without it" in out

    old = 'for word in "$@"; do [ "$word" = --me ] && { echo "squeue: unrecognized option --me" >&2; exit 1; }; done'
    (slurm / "squeue").write_text(f"#!/bin/bash\n{old}\necho 'squeue: error: Invalid user' >&2; exit 1\n")
    code, out = sweep_of_processes("launcher=slurm", "seed=1,2")
    assert (code, len(out.strip().splitlines())) == (2, 1)
    assert "--noheader --format=%F` failed: squeue: error: Invalid user" in out
