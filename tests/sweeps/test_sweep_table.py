"""Reading folders of runs, and the report on them."""

import json

import pytest
from omegaconf import OmegaConf

from gan.config import CONFIG_DIR
from gan.errors import UserError
from gan.sweeps import sweeps
from gan.sweeps.job_records import read_job, read_jobs
from gan.sweeps.sweep_table import best_job, command_line, varying, write_report


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


def test_statuses(job, tmp_path):
    job("2", ["seed=2"], 3.0)
    job("10", ["seed=10"], None)
    job("3", ["seed=3"], 4.0, ended=False)
    (job("4", ["seed=4"], 1.0) / "summary.json").write_text('{"minu')
    (tmp_path / "s" / "5").mkdir()
    (job("6", []) / ".hydra" / "overrides.yaml").write_text("")
    found = {name.name: name.status for name in read_jobs(tmp_path / "s")}
    assert list(found.items()) == [("2", "finished"), ("3", "unfinished"), ("4", "unfinished"), ("10", "failed")]
    assert read_job(tmp_path / "s" / "10").reason == "val/fid_mnist is not a number"


def test_the_table_has_the_settings_that_differ(job, tmp_path):
    job("0", ["model=dcgan", "lr=0.001", "sweep_name=a", "c=[1,2]"], 3.0)
    of_sweep = ["sweep=optuna", "+pruner.n_startup_trials=2", "launcher=slurm"]
    job("1", [*of_sweep, "model=dcgan", "lr=0.1", "sweep_name=b", "c=[1,2]", "note='a|b'"], 2.0)
    write_report(tmp_path / "s", running=False)
    header, first, _ = (tmp_path / "s" / "sweep.csv").read_text().splitlines()
    assert header == "job,status,lr,note,val/fid_mnist,images,minutes"
    assert first == "0,finished,0.001,,3.0,320,1.5"
    best = best_job(read_jobs(tmp_path / "s"))
    assert best.name == "1"
    flags = ["--config-dir", "/my configs"]
    assert command_line(best.folder) == ["gan", "train", *flags, "model=dcgan", "lr=0.1", "c=[1,2]", "note='a|b'"]
    assert r"a\|b" in write_report(tmp_path / "s", running=False)


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


def test_a_figure_takes_numbers_names_and_failures(job, tmp_path):
    from gan.sweeps.figure import plot

    for index, (lr, model) in enumerate([(1e-4, "a"), (1e-3, "b"), (1e-2, "a"), (2e-2, "b")]):
        job(str(index), [f"lr={lr}", f"model={model}", f"batch={32 + index}"], None if index == 3 else 5.0 - index)
    jobs = read_jobs(tmp_path / "s")
    trials, lr, model, batch = [axes for axes in plot(jobs, varying(jobs)).axes if axes.axison]
    assert [axes.get_xscale() for axes in (trials, lr, model, batch)] == ["linear", "log", "linear", "linear"]
    assert [text.get_text() for text in model.get_xticklabels()] == ["a", "b"]
    points, best, failed = (line.get_ydata().tolist() for line in trials.get_lines())
    assert (points, best, len(failed)) == ([5, 4, 3], [5, 4, 3], 1)


def test_the_command_finds_sweeps(job, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no sweep under"):
        sweeps(OmegaConf.create({"sweep_name": None}))
    job("0", ["seed=1"], 3.0, root=tmp_path / "outputs" / "multirun" / "7")
    job("a", ["seed=1"], 3.0, root=tmp_path / "outputs" / "train")
    job("b", ["seed=2"], 2.0, root=tmp_path / "outputs" / "train")
    assert "# Sweep 7: 1 finished" in sweeps(OmegaConf.create({"sweep_name": None}))
    assert sweeps(OmegaConf.create({"sweep_name": 7})) in capsys.readouterr().out
    assert "that of job b" in sweeps(OmegaConf.create({"sweep_name": "outputs/train"}))
    assert sorted(path.name for path in (tmp_path / "outputs" / "train").iterdir()) == ["a", "b"]
    (tmp_path / "empty").mkdir()
    for named, words in {"empty": "has no runs in it", "nowhere": "there is no folder"}.items():
        with pytest.raises(UserError, match=f"sweep_name={named}: .*{words}"):
            sweeps(OmegaConf.create({"sweep_name": named}))
