"""The report on the runs of a folder."""

import json
import shlex

from gan.sweeps.job_records import read_jobs
from gan.sweeps.sweep_table import best_job, varying, write_report


def test_the_table_has_the_settings_that_differ(job, tmp_path):
    job("0", ["model=dcgan", "lr=0.001", "sweep_name=a", "c=[1,2]"], 3.0)
    of_sweep = ["sweep=optuna", "+pruner.n_startup_trials=2", "launcher=slurm"]
    job("1", [*of_sweep, "model=dcgan", "lr=0.1", "sweep_name=b", "c=[1,2]", "note='a|b'"], 2.0)
    write_report(tmp_path / "s", running=False)
    assert (tmp_path / "s" / "sweep.png").read_bytes().startswith(b"\x89PNG")
    header, first, _ = (tmp_path / "s" / "sweep.csv").read_text().splitlines()
    assert header == "job,status,lr,note,val/fid_mnist,images,minutes"
    assert first == "0,finished,0.001,,3.0,320,1.5"
    best = best_job(read_jobs(tmp_path / "s"))
    assert best.name == "1"
    report = write_report(tmp_path / "s", running=False)
    assert r"a\|b" in report
    words = ["--config-dir", "/my configs", "model=dcgan", "lr=0.1", "c=[1,2]", "note='a|b'"]
    assert f"    {shlex.join(['gan', 'train', *words])}\n" in report


def test_pruned_jobs_are_never_the_best_and_say_what_they_saved(job, tmp_path):
    from gan.sweeps.figure import plot

    job("0", ["lr=1"], 3.0)
    for name, planned in (("1", 1280), ("2", None)):
        told = {"values": [2.0], "images": [320], "pruned": True, "images_planned": planned}
        (job(name, [f"lr={name}0"], 2.0) / "validations.json").write_text(json.dumps(told))
    jobs = read_jobs(tmp_path / "s")
    assert [(each.status, each.images_saved, each.minutes_saved) for each in jobs] == [
        *(("finished", None, None), ("pruned", 960, 4.5), ("pruned", None, None)),
    ]
    assert best_job(jobs).name == "0"
    text = write_report(tmp_path / "s", running=False)
    assert "# Sweep s: 1 finished, 2 pruned" in text
    words = "Pruned: 1 (after 320 images), 2 (after 320 images). That saved 960 of 1,920 images, and about 4.5 of 9.0"
    assert words in text
    lines = {line.get_label(): line.get_ydata() for line in plot(jobs, varying(jobs)).axes[0].get_lines()}
    assert (list(lines["pruned"]), list(lines["job"])) == ([2.0, 2.0], [3.0])
