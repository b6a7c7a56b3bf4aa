"""The report on the runs of a folder."""

import json
import shlex

from gan.sweeps.job_records import read_jobs
from gan.sweeps.sweep_table import best_jobs, markdown, table, varying, write_report


def test_the_table_has_the_settings_that_differ(job, tmp_path):
    job("0", ["model=dcgan", "lr=0.001", "sweep_name=a", "c=[1,2]"], 3.0)
    of_sweep = ["sweep=optuna", "+pruner.n_startup_trials=2", "launcher=slurm"]
    job("1", [*of_sweep, "model=dcgan", "lr=0.1", "sweep_name=b", "c=[1,2]", "note='a|b'"], 2.0)
    report = write_report(tmp_path / "s", running=False)
    assert (tmp_path / "s" / "sweep.png").read_bytes().startswith(b"\x89PNG")
    header, first, _ = (tmp_path / "s" / "sweep.csv").read_text().splitlines()
    assert header == "job,status,lr,note,val/fid_mnist,images,minutes"
    assert first == "0,finished,0.001,,3.0,320,1.5"
    (best,) = best_jobs(read_jobs(tmp_path / "s"))
    assert best.name == "1"
    assert r"a\|b" in report
    words = ["--config-dir", "/my configs", "model=dcgan", "lr=0.1", "c=[1,2]", "note='a|b'"]
    assert f"    {shlex.join(['gan', 'train', *words])}\n" in report


def test_names_and_settings_are_as_they_were_given(job, tmp_path):
    for name, lr in (("007", "0.00012345"), ("2024", "1234567")):
        job(name, [f"lr={lr}"], 1234.5)
    jobs = read_jobs(tmp_path / "s")
    rows = [
        line.split() for line in markdown("s", jobs, *table(jobs, running=False)).splitlines() if "finished |" in line
    ]
    assert [(row[1], row[5], row[7]) for row in rows] == [("007", "0.00012345", "1,234"), ("2024", "1234567", "1,234")]


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
    assert [best.name for best in best_jobs(jobs)] == ["0"]
    text = markdown("s", jobs, *table(jobs, running=False))
    assert "# Sweep s: 1 finished, 2 pruned" in text
    words = "Pruned: 1 (after 320 images), 2 (after 320 images). That saved 960 of 1,920 images, and about 4.5 of 9.0"
    assert words in text
    lines = {line.get_label(): line.get_ydata() for line in plot(jobs, varying(jobs)).axes[0].get_lines()}
    assert (list(lines["pruned"]), list(lines["job"])) == ([2.0, 2.0], [3.0])


def test_values_of_other_measures_or_data_are_not_compared(job, tmp_path):
    from gan.sweeps.figure import plot

    for name, data, monitor, score in (
        *(("0", "mnist", "val/fid_mnist", 3.0), ("1", "digits", "val/fid_mnist", 1.0)),
        *(("2", "mnist", "val/kid_mnist", 0.1), ("3", "mnist", "val/fid_mnist", 2.0)),
    ):
        folder = job(name, [f"data={data}", f"seed={name}"], score)
        (folder / "summary.json").write_text(json.dumps({"minutes": 1.5, "data": data}))
        measured = {"images_seen": 320, "monitor": monitor, "metrics": {monitor: score}}
        (folder / "checkpoints" / "best.json").write_text(json.dumps(measured))
    jobs = read_jobs(tmp_path / "s")
    text = markdown("s", jobs, *table(jobs, running=False))
    lowest = [line.removeprefix("Measures are those of each job's best checkpoint. ") for line in text.splitlines()]
    assert [line for line in lowest if line.startswith("The lowest")] == [
        "The lowest val/fid_mnist of mnist, 2, is that of job 3:",
        "The lowest val/fid_mnist of digits, 1, is that of job 1:",
        "The lowest val/kid_mnist of mnist, 0.1, is that of job 2:",
    ]
    lines = {line.get_label(): line.get_ydata() for line in plot(jobs, varying(jobs)).axes[0].get_lines()}
    assert list(lines["job"]) == [3.0, 2.0]
