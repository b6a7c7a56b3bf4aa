"""Bad trials of a search end early, whoever is killed meanwhile."""

import json
import math
from types import SimpleNamespace

import pytest

from gan.sweeps.job_records import OUTCOME, VALIDATIONS, write_outcome

pytestmark = pytest.mark.usefixtures("no_figure")

# Job n measures n + 1 at each of its three validations, so each job is worse than the one before.
LEVELS = ("+callbacks.levels._target_=levels.Levels", "+callbacks.levels.run=${output_dir}")
SEARCH = (
    *("hydra/sweeper=optuna", "data.batch_size=choice(16,17)", *LEVELS, "callbacks.checkpoints.monitor=val/level"),
    *("trainer.max_epochs=3", "+hydra.sweeper.pruner.n_startup_trials=1", "+hydra.sweeper.pruner.n_warmup_steps=1"),
)


@pytest.fixture
def optuna():
    """The package: it is imported where it is used, and not by each worker."""
    import optuna

    return optuna


@pytest.fixture
def trials(folder, optuna):
    """A function that reads the trials of the search."""

    def read():
        study = optuna.load_study(study_name="sweep", storage=f"sqlite:///{folder / 'study.db'}")
        return [(trial.state.name, trial.value, trial.intermediate_values) for trial in study.get_trials()]

    return read


@pytest.fixture
def statuses(table):
    return lambda: [row["status"] for row in table()]


@pytest.mark.slow
def test_a_bad_trial_is_cut_recorded_and_told_with_what_it_saved(sweep, folder, table, trials, statuses):
    code, out = sweep(*SEARCH, "hydra.sweeper.n_trials=2")
    assert code == 0
    assert "by MedianPruner: val/level 2" in out
    assert trials() == [("COMPLETE", 1, {0: 1, 1: 1, 2: 1}), ("PRUNED", 2, {0: 2, 1: 2})]

    summary = json.loads((folder / "1" / "summary.json").read_text())
    size = summary["images_seen"] // 2
    assert (summary["epochs"], summary["metrics"]["val/level"]) == (2, 2)
    good, bad = table()
    assert (good["status"], good["images saved"]) == ("finished", "")
    assert (bad["status"], bad["images"], bad["images saved"]) == ("pruned", str(2 * size), str(size))
    assert float(bad["minutes saved"]) == pytest.approx(float(bad["minutes"]) / 2, abs=0.01)
    text = (folder / "sweep.md").read_text()
    assert f"Pruned: 1 (after {2 * size} images). That saved {size} of " in text
    assert "is that of job 0" in text
    assert (folder / "sweep.png").is_file()

    def killed_before_its_last_files():
        for path in (folder / "1" / "summary.json", folder / "1" / OUTCOME, folder / "study.db"):
            path.unlink()
        (folder / "study.db").touch()

    killed_before_its_last_files()
    again = (*SEARCH, "hydra.sweeper.n_trials=2", "ckpt_path=auto")
    assert (sweep(*again)[0], statuses()) == (0, ["finished", "pruned"])
    assert json.loads((folder / "1" / "summary.json").read_text())["images_seen"] == 2 * size

    killed_before_its_last_files()
    assert (sweep(*again, "hydra.sweeper.pruner=null")[0], statuses()) == (0, ["finished", "finished"])
    assert json.loads((folder / "1" / "summary.json").read_text())["images_seen"] == 3 * size
    assert trials()[1] == ("COMPLETE", 2, {})


@pytest.mark.slow
def test_a_trial_of_two_validations_trains_to_its_end(sweep, statuses):
    assert sweep(*SEARCH, "trainer.max_epochs=2", "hydra.sweeper.n_trials=2")[0] == 0
    assert statuses() == ["finished", "finished"]


@pytest.mark.process
def test_a_killed_search_resumes_with_its_pruned_trials(sweep, killed, folder, trials, statuses):
    search = (*SEARCH, "hydra.sweeper.n_trials=3", "+callbacks.levels.killed=2", "+callbacks.levels.notes=killed")
    killed(*search)
    assert statuses() == ["finished", "pruned"]
    assert json.loads((folder / "2" / VALIDATIONS).read_text())["values"] == [3]
    before = (folder / "1" / "checkpoints" / "last.ckpt").read_bytes()
    assert sweep(*search)[0] == 0
    assert statuses() == ["finished", "pruned", "pruned"]
    assert [state for state, *_ in trials()] == ["COMPLETE", "PRUNED", "PRUNED"]
    assert (folder / "1" / "checkpoints" / "last.ckpt").read_bytes() == before
    assert "Launching" not in sweep(*search)[1]


@pytest.fixture
def pruning_class():
    """The callback's class, whose module imports Optuna."""
    from gan.sweeps.pruning import Pruning

    return Pruning


@pytest.fixture
def judged(tmp_path, pruning_class):
    """A function that says whether a pruner ends a trial after its values, beside those of trials that have ended."""

    def write(number, values, images, **rest):
        folder = tmp_path / str(number)
        folder.mkdir(exist_ok=True)
        state = {"images": images, "values": values, "notes": {}, "pruned": False, **rest}
        (folder / VALIDATIONS).write_text(json.dumps(state))
        return state

    def judge(pruner, values, others, images=(100, 200, 300, 400), **of_others):
        for number, other in enumerate(others):
            write(number, other, [100, 200, 300, 400], **of_others)
            write_outcome(tmp_path / str(number), "finished")
        own = pruning_class(str(tmp_path / str(len(others))), "val/fid", pruner)
        own.state = write(len(others), values, list(images))
        return own._is_bad(), own.state["notes"]

    return judge


GOOD, BAD, OTHERS = [8.0, 4.0], [20.0, 19.0], [[10.0, 5.0, 3.0, 2.0]] * 5
PRUNERS = {"MedianPruner": (), "PercentilePruner": (25.0,), "ThresholdPruner": (None, 10.0)}


@pytest.mark.parametrize("name", PRUNERS)
def test_optunas_pruners_judge_by_the_files_of_the_jobs(judged, optuna, name):
    kind, arguments = getattr(optuna.pruners, name), PRUNERS[name]
    assert judged(kind(*arguments), BAD, OTHERS)[0]
    assert not judged(kind(*arguments), GOOD, OTHERS)[0]
    assert not judged(optuna.pruners.NopPruner(), BAD, OTHERS)[0]


@pytest.mark.parametrize("name", ["SuccessiveHalvingPruner", "HyperbandPruner"])
def test_halving_finds_the_rungs_that_trials_have_reached(judged, optuna, name):
    most = {"max_resource": 1} if "Hyper" in name else {}
    pruner = getattr(optuna.pruners, name)(min_resource=1, reduction_factor=2, **most)
    bad, notes = judged(pruner, GOOD, [])
    assert (bad, notes["completed_rung_0"]) == (False, 4.0)
    assert judged(pruner, BAD, OTHERS, notes={"completed_rung_0": 5.0})[0]


def test_a_running_job_tells_the_others_how_far_it_came(tmp_path, optuna, pruning_class):
    pruning = pruning_class(str(tmp_path / "0"), "val/fid", optuna.pruners.SuccessiveHalvingPruner(min_resource=1))
    pruning.directory.mkdir()
    trainer = SimpleNamespace(sanity_checking=False, should_stop=False, is_last_batch=True, max_epochs=9)
    for trainer.current_epoch in range(2):
        trainer.callback_metrics = {"val/fid": 3.0 - trainer.current_epoch}
        pruning.on_validation_end(trainer, SimpleNamespace(images_seen=100 * (1 + trainer.current_epoch)))
    told = json.loads((tmp_path / "0" / VALIDATIONS).read_text())
    notes = {"completed_rung_0": 2.0}
    assert told == {"images": [100, 200], "values": [3.0, 2.0], "notes": notes, "pruned": False}


def test_a_trial_is_not_compared_with_others_of_far_more_images(judged, optuna):
    """Validations may be a number of batches apart in a search over the batch size."""
    pruner = optuna.pruners.MedianPruner()
    assert judged(pruner, BAD, OTHERS, images=(95, 209))[0]
    assert not judged(pruner, BAD, OTHERS, images=(50, 100))[0]


def test_values_that_are_not_finite_and_jobs_without_any_are_no_hindrance(judged, tmp_path, optuna):
    pruner = optuna.pruners.MedianPruner()
    assert judged(pruner, [math.nan, 30.0], [*OTHERS, [None], [None, 3.0]])[0]
    (tmp_path / "1" / VALIDATIONS).unlink()
    (tmp_path / "2" / VALIDATIONS).write_text("{")
    assert judged(optuna.pruners.MedianPruner(n_startup_trials=3), BAD, [])[0]


@pytest.mark.process
@pytest.mark.parametrize("launcher", ["parallel", "slurm"])
def test_a_bad_trial_is_cut_by_what_other_processes_measured(
    sweep_of_processes, slurm, folder, statuses, trials, launcher
):
    """Both trials are handed over at once, so the search itself learns nothing before both have ended."""
    one_at_a_time = {"parallel": "hydra.launcher.n_jobs=1", "slurm": "hydra.launcher.poll_seconds=0.2"}[launcher]
    code, out = sweep_of_processes(
        *("hydra/sweeper=optuna", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=2", "seed=choice(1,2)"),
        *(*LEVELS, "callbacks.checkpoints.monitor=val/level", "+hydra.sweeper.pruner.n_startup_trials=1"),
        *(f"launcher={launcher}", one_at_a_time, "trainer.max_epochs=2"),
    )
    assert (code, statuses()) == (0, ["finished", "pruned"]), out
    assert "| images saved | minutes saved |" in (folder / "sweep.md").read_text()
    assert json.loads((folder / "1" / "summary.json").read_text())["epochs"] == 1
    assert [state for state, *_ in trials()] == ["COMPLETE", "PRUNED"]
