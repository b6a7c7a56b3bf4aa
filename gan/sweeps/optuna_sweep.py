"""`gan train --multirun sweep=optuna`: a search by Optuna's TPE, which can be resumed, unlike one of Hydra's plugin."""

import math
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import optuna
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from omegaconf import DictConfig, OmegaConf
from optuna import Study
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import BasePruner
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState

from gan.config import instantiate
from gan.config.allowed import COUNT
from gan.config.bounds import require, require_part
from gan.config.targets import source_target
from gan.errors import UserError, joined
from gan.randomness import derive_seed
from gan.sweeps.job_records import FINISHED, PRUNED, UNFINISHED, Job, as_swept, settings
from gan.sweeps.sweep import STUDY_FILE, STUDY_NAME, Sweep

Distribution = CategoricalDistribution | FloatDistribution | IntDistribution
EXAMPLE = "'model.generator_optimizer.lr=tag(log,interval(1e-4,1e-2))'"


def run_search(sweep: Sweep, n_trials: int, n_jobs: int, seed: int, pruner: DictConfig | None) -> None:
    """Searches for settings with the lowest `callbacks.checkpoints.monitor`; a trial and its job have one number."""
    require("n_trials", n_trials)
    COUNT.require("hydra.sweeper.n_jobs", n_jobs)
    require("seed", seed)
    _check_pruner(pruner)
    space = {key: _distribution(override) for key, override in sweep.swept.items()}
    if not space:
        raise UserError(f"sweep=optuna: no setting to search over; give a range, such as {EXAMPLE}")

    def overrides(params: dict[str, object]) -> list[str]:
        return [*sweep.fixed, *(sweep.override(name, value) for name, value in params.items())]

    base = {key: _values(distribution)[0] for key, distribution in space.items()}
    (monitor, data), *others = dict.fromkeys(
        _compared(sweep.compose(overrides({**base, key: value})))
        for key, distribution in space.items()
        for value in _values(distribution)
    )
    if others:
        several = f"{monitor} of {data} with {' of '.join(others[0])}"
        raise UserError(f"{', '.join(space)}: a search cannot compare {several}; a grid has each in its table")

    def run_jobs() -> list[int]:
        if sweep.jobs() and not (sweep.folder / STUDY_FILE).exists():
            raise UserError(f"sweep_name={sweep.name}: this is the name of a grid; choose another for a search")
        search = {"goal": monitor, **settings(sweep.fixed), **{key: str(value) for key, value in space.items()}}
        study = _open_study(sweep, search)
        while trials := _next_trials(study, space, n_trials, n_jobs, seed):
            numbered = {trial.number: overrides(trial.params) for trial in trials}
            jobs = sweep.jobs()
            sweep.launch({n: o for n, o in numbered.items() if n not in jobs or jobs[n].status == UNFINISHED})
            jobs = sweep.jobs()
            for trial in trials:
                _tell(study, trial, jobs.get(trial.number))
            finished = [job for job in jobs.values() if job.status == FINISHED]
            if finished and all(job.score is None for job in finished):
                raise UserError(f"callbacks.checkpoints.monitor={monitor}: no job measures it, but it guides a search")
        return [trial.number for trial in _valid_trials(study)]

    sweep.run(run_jobs)


def _check_pruner(pruner: DictConfig | None) -> None:
    """Raises a UserError for what is none of Optuna's pruners, or not what one of them takes."""
    require_part("pruner", pruner, optional=True)
    if pruner is not None:
        built = instantiate(OmegaConf.create({"pruner": OmegaConf.to_container(pruner, resolve=True)})).pruner
        if not isinstance(built, BasePruner):
            raise UserError(f"pruner._target_={pruner._target_}: a pruner such as optuna.pruners.MedianPruner, or null")


def _tell(study: Study, trial: FrozenTrial, job: Job | None) -> None:
    """Records how a job has ended."""
    record = Trial(study, trial._trial_id)
    for step, value in enumerate(job.validations if job else []):
        if step not in trial.intermediate_values:  # else an earlier start of the search was killed here
            record.report(math.nan if value is None else value, step)
    if job is not None and job.status == PRUNED:
        study.tell(trial.number, state=TrialState.PRUNED)
    else:
        study.tell(trial.number, math.inf if job is None or job.score is None else job.score)


def _open_study(sweep: Sweep, search: dict[str, str]) -> Study:
    """The study in the sweep's folder, or a new one; a UserError if the study there is of another search."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if damage := _damage(sweep.folder / STUDY_FILE):
        told = f"sweep_name={sweep.name}: {STUDY_FILE} is damaged ({damage})"
        raise UserError(f"{told}; choose another name for the search, the jobs of this one are kept")
    path = quote(quote(str(sweep.folder / STUDY_FILE)))  # SQLAlchemy and SQLite each decode it
    storage = f"sqlite:///file:{path}?uri=true"
    study = optuna.create_study(storage=storage, study_name=STUDY_NAME, load_if_exists=True)
    before = study.user_attrs.get("search", search)
    for key in sorted({*search, *before}):
        then, now = before.get(key, "not set"), search.get(key, "not set")
        if as_swept(f"{key}={then}") != as_swept(f"{key}={now}"):
            raise UserError(f"sweep_name={sweep.name}: {key} is {now}, but was {then}; choose another name for it")
    study.set_user_attr("search", search)
    return study


def _damage(path: Path) -> str:
    """What is wrong with an SQLite file; "" where nothing is, or where there is no file yet."""
    try:
        with closing(sqlite3.connect(path)) as database:
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if found == "ok" else joined(found)


def _next_trials(
    study: Study, space: Mapping[str, Distribution], n_trials: int, n_jobs: int, seed: int
) -> list[FrozenTrial]:
    """Up to n_jobs trials to run: interrupted ones, then new ones. None are left when n_trials are done."""
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        if trial.params.keys() != space.keys():  # the search was killed while it proposed this trial
            study.tell(trial.number, state=TrialState.FAIL)
    missing = n_trials - len(_valid_trials(study))
    running = len(study.get_trials(states=(TrialState.RUNNING,)))
    for _ in range(min(missing, n_jobs - running)):
        number = len(study.get_trials(deepcopy=False))
        # It depends on earlier trials alone, so a search that was killed proposes the same settings as any other.
        study.sampler = TPESampler(seed=derive_seed(seed, number) % 2**32, constant_liar=n_jobs > 1)
        study.ask(dict(space))
    return study.get_trials(states=(TrialState.RUNNING,))[:n_jobs]


def _valid_trials(study: Study) -> list[FrozenTrial]:
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state != TrialState.FAIL]


def _compared(config: DictConfig) -> tuple[str, str]:
    """The monitored value of a job, and the class of its data."""
    monitor = OmegaConf.select(config, "callbacks.checkpoints.monitor")
    if monitor is None:
        raise UserError("callbacks.checkpoints: a search needs the value that it monitors")
    return monitor, source_target(config.data)


def _distribution(override: Override) -> Distribution:
    """Optuna's distribution for a sweep in Hydra's grammar: choice, range, interval, or `tag(log, ...)` of one."""
    ends: tuple[Any, Any]
    options: dict[str, Any]
    numeric = isinstance(sweep := override.value(), IntervalSweep | RangeSweep)
    unknown: set[str] = getattr(sweep, "tags", set()) - ({"log"} if numeric else set())
    if unknown:
        raise UserError(f"{override.input_line}: tag {', '.join(sorted(unknown))}; the only one is log, of a range")
    try:
        if isinstance(sweep, IntervalSweep):
            ends, options = (sweep.start, sweep.end), {"log": "log" in sweep.tags}
        elif isinstance(sweep, RangeSweep):
            values: list[Any] = sorted(sweep.range())
            ends, options = (values[0], values[-1]), {"log": "log" in sweep.tags, "step": abs(sweep.step)}
        else:
            return CategoricalDistribution(list(override.sweep_string_iterator()))
        whole = all(isinstance(end, int) for end in ends)
        return IntDistribution(*ends, **options) if whole else FloatDistribution(*ends, **options)
    except ValueError as error:
        raise UserError(f"{override.input_line}: {error}") from error


def _values(distribution: Distribution) -> list[object]:
    """Every choice, or the ends of a range."""
    return list(distribution.choices) if hasattr(distribution, "choices") else [distribution.low, distribution.high]
