"""Searches resume with the same settings, and count failures."""

import math
import warnings

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from tiny_runs import SEARCH

from gan.config import CONFIG_DIR
from gan.sweeps.job_records import PRUNED, Job

pytestmark = pytest.mark.usefixtures("no_figure")


@pytest.mark.process
def test_a_killed_search_resumes_with_the_same_settings(sweep, killed, folder, table, snare, started):
    search = (*SEARCH, *snare(1), "model.loss.label_smoothing=interval(0,0.2)", "data.batch_size=choice(8,16)")
    killed(*search, "model.generator_optimizer.lr=2e-4")
    for value in ("2e-4", "0.0002"):
        assert sweep(*search, f"model.generator_optimizer.lr={value}")[0] == 0
        assert started() == ["0", "1", "1", "2"]
    resumed = table()
    assert [row["status"] for row in resumed] == ["finished"] * 3
    assert len({row["model.loss.label_smoothing"] for row in resumed}) == 3

    code, out = sweep(*search, "model.generator_optimizer.lr=2e-4", "data.batch_size=choice(8,20)")
    assert (code, len(out.strip().splitlines())) == (2, 1)
    assert "sweep_name=s: data.batch_size is CategoricalDistribution(choices=('8', '20')), but was" in out
    assert "the name of an Optuna search" in sweep("seed=1,2")[1]

    sweep(*search, "hydra.sweeper.n_trials=2", "sweep_name=whole")
    whole = table(folder.parent / "whole")
    assert [{**row, "minutes": ""} for row in whole] == [{**row, "minutes": ""} for row in resumed[:2]]


@pytest.mark.slow
@pytest.mark.parametrize("search", sorted(path.stem for path in (CONFIG_DIR / "sweep").glob("optuna*.yaml")))
def test_searches_of_the_package(sweep, folder, search):
    assert sweep(f"sweep={search}", "n_trials=1")[0] == 0
    config = OmegaConf.load(folder / "0" / "config.yaml")
    assert 2e-5 <= config.model.generator_optimizer.lr <= 1e-2


@pytest.mark.slow
def test_a_search_counts_failures_and_jobs_at_a_time(sweep, table, monkeypatch, basic_launcher):
    batches = []
    launch = basic_launcher.launch
    monkeypatch.setattr(
        basic_launcher, "launch", lambda self, jobs, **kw: batches.append(len(jobs)) or launch(self, jobs, **kw)
    )
    space = ("hydra/sweeper=optuna", "hydra.sweeper.n_jobs=2", "hydra.sweeper.n_trials=3")
    code, out = sweep(*space, "data.batch_size=choice(70000,80000)")
    assert (code, batches) == (1, [2, 1])
    assert "job 0 failed: data.batch_size=" in out
    assert [row["status"] for row in table()] == ["failed"] * 3
    assert "1 or more" in sweep(*space, "hydra.sweeper.n_jobs=0", "seed=range(1,9)")[1]
    assert "no setting to search over" in sweep(*space)[1]


@pytest.mark.slow
def test_a_search_ends_where_its_first_job_measures_nothing(sweep, folder):
    code, out = sweep(*SEARCH, "data.batch_size=choice(8,16)", "trainer.limit_val_batches=0")
    assert code == 2
    assert "callbacks.checkpoints.monitor=val/fid_mnist: no job measures it, but it guides a search" in out
    assert not (folder / "1").exists()


def test_a_search_that_was_killed_while_it_recorded_a_trial_records_the_rest(tmp_path):
    import optuna

    from gan.sweeps.optuna_sweep import _tell

    study = optuna.create_study()
    trial = study.ask()
    trial.report(3.0, 0)
    job = Job(tmp_path / "0", [], PRUNED, validations=[3.0, None])
    warnings.simplefilter("error")
    _tell(study, study.get_trials()[0], job)
    (told,) = study.get_trials()
    assert (told.state.name, told.intermediate_values[0]) == ("PRUNED", 3.0)
    assert math.isnan(told.intermediate_values[1])


@pytest.mark.slow
def test_a_search_may_have_any_name_and_a_damaged_study_is_one_line(sweep, folder):
    name = "a?b#{c}%41"
    search = (*SEARCH, "data.batch_size=choice(8,16)", f'sweep_name="{name}"')
    for trials in (1, 2):
        code, out = sweep(*search, f"hydra.sweeper.n_trials={trials}")
        assert code == 0, out
    assert sorted(path.name for path in folder.parent.iterdir()) == [name]
    assert {"0", "1", "study.db"} <= {path.name for path in (folder.parent / name).iterdir()}

    study = folder.parent / name / "study.db"
    for damaged in (study.read_bytes()[:30_000], b"no database"):
        study.write_bytes(damaged)
        code, out = sweep(*search, "hydra.sweeper.n_trials=2")
        assert (code, len(out.strip().splitlines())) == (2, 1)
        assert "study.db is damaged (" in out
        assert study.read_bytes() == damaged


@pytest.mark.parametrize(
    ("values", "low", "high", "log"),
    [
        ("range(1,9)", 1, 8, False),
        ("tag(log,range(1,9))", 1, 8, True),
        ("tag(log,int(interval(1,9)))", 1, 9, True),
        ("shuffle(range(1,9))", 1, 8, False),
        ("range(9,1,-2)", 3, 9, False),
        ("range(0.5,2,0.5)", 0.5, 1.5, False),
    ],
)
def test_ranges_of_hydra_are_those_of_optuna(values, low, high, log):
    from gan.sweeps.optuna_sweep import _distribution

    found = _distribution(OverridesParser.create().parse_override(f"key={values}"))
    assert (found.low, found.high, found.log) == (low, high, log)
