"""`gan train --multirun sweep=optuna`: a search by Optuna's TPE, which can be resumed.

Optuna is called directly: Hydra's plugin needs Optuna 2, whose SQL storage breaks with SQLAlchemy 2, and it counts
trials afresh at each start.
"""

import logging
import math
from typing import TYPE_CHECKING

from hydra.core.override_parser.types import IntervalSweep, Override, ValueType
from omegaconf import OmegaConf

from gan.config.bounds import require_number
from gan.errors import UserError, check_installed
from gan.randomness import derive_seed
from gan.sweeps.jobs import UNFINISHED, settings
from gan.sweeps.sweep import STUDY, Sweep

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

log = logging.getLogger("gan")
EXAMPLE = "'model.generator_optimizer.lr=tag(log,interval(1e-4,1e-2))'"


def run_search(sweep: Sweep, n_trials: int, n_jobs: int, seed: int) -> None:
    """Searches for the settings of the lowest `callbacks.checkpoints.monitor`, that of each job's best checkpoint.

    A trial's number is its job's. Trials whose job was interrupted are run again with the same settings; one that
    failed counts as infinitely bad. What the sampler proposes depends on `seed`, the trial's number and the trials
    before alone, so that a search that was killed goes on as if it had not been.

    Args:
        sweep: its folder gets the study, an SQLite file.
        n_trials: in all, earlier starts included.
        n_jobs: trials proposed, and handed to the launcher, at a time.
        seed: of the sampler.

    Raises:
        UserError, HydraException: a mistake in the search, before the first job starts.
        SystemExit: of status 1, when a job failed.
    """
    check_installed("sweep=optuna", "sweeps", "optuna")
    for key, value in {"n_trials": n_trials, "hydra.sweeper.n_jobs": n_jobs, "seed": seed}.items():
        require_number(key, value, least=0 if key == "seed" else 1, whole=True)
    space = {key: _distribution(override) for key, override in sweep.swept.items()}
    if not space:
        raise UserError(f"sweep=optuna: nothing to search over; give a range, such as {EXAMPLE}")

    def overrides(params: dict[str, object]) -> list[str]:
        return [*sweep.fixed, *(f"{key}={value}" for key, value in params.items())]

    corner = {key: _values(distribution)[0] for key, distribution in space.items()}
    for key, distribution in space.items():
        for value in _values(distribution):
            config = sweep.compose(overrides({**corner, key: value}))
    goal = OmegaConf.select(config, "callbacks.checkpoints.monitor")
    if goal is None:
        raise UserError("callbacks.checkpoints: a search goes by the measure that it monitors")
    with sweep.session():
        if sweep.jobs() and not (sweep.folder / STUDY).exists():
            raise UserError(f"sweep_name={sweep.name}: that is a grid; another name starts a search")
        described = {"goal": goal, **settings(sweep.fixed), **{key: str(value) for key, value in space.items()}}
        study = _study(sweep, described)
        while waiting := _next_trials(study, space, n_trials, n_jobs, seed):
            numbered = {trial.number: overrides(trial.params) for trial in waiting}
            jobs = sweep.jobs()
            sweep.launch({n: o for n, o in numbered.items() if n not in jobs or jobs[n].status == UNFINISHED})
            jobs = sweep.jobs()
            for number in numbered:
                score = jobs[number].score if number in jobs else None
                study.tell(number, math.inf if score is None else score)
    sweep.end([trial.number for trial in _counted(study)])


def _study(sweep: Sweep, described: dict[str, str]) -> "Study":
    """The study in the sweep's folder, a new one where there is none.

    Raises:
        UserError: the one there searches for something else.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = f"sqlite:///{sweep.folder / STUDY}"
    study = optuna.create_study(storage=storage, study_name="sweep", load_if_exists=True)
    before = study.user_attrs.get("search")
    if before is None:
        study.set_user_attr("search", described)
    for key in sorted({*described, *(before or described)}):
        then, now = (before or described).get(key, "not there"), described.get(key, "not there")
        if then != now:
            raise UserError(f"sweep_name={sweep.name}: {key} is {now}, there it was {then}; another name starts anew")
    return study


def _next_trials(
    study: "Study", space: dict[str, "BaseDistribution"], n_trials: int, n_jobs: int, seed: int
) -> list["FrozenTrial"]:
    """Up to n_jobs trials to run: those that were interrupted, then new ones; none when n_trials are done."""
    from optuna.samplers import TPESampler
    from optuna.trial import TrialState

    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        if trial.params.keys() != space.keys():  # killed while it was proposed
            study.tell(trial.number, state=TrialState.FAIL)
    missing = n_trials - len(_counted(study))
    running = len(study.get_trials(states=(TrialState.RUNNING,)))
    for _ in range(min(missing, n_jobs - running)):
        number = len(study.get_trials(deepcopy=False))
        study.sampler = TPESampler(seed=derive_seed(seed, number) % 2**32, constant_liar=n_jobs > 1)
        study.ask(space)
    return study.get_trials(states=(TrialState.RUNNING,))[:n_jobs]


def _counted(study: "Study") -> list["FrozenTrial"]:
    from optuna.trial import TrialState

    return [trial for trial in study.get_trials(deepcopy=False) if trial.state != TrialState.FAIL]


def _distribution(override: Override) -> "BaseDistribution":
    """Optuna's form of a sweep in Hydra's grammar: choices, ranges, intervals, and `tag(log, ...)` for a log scale."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    try:
        if isinstance(sweep := override.value(), IntervalSweep):
            kind = IntDistribution if isinstance(sweep.start, int) and isinstance(sweep.end, int) else FloatDistribution
            return kind(sweep.start, sweep.end, log="log" in sweep.tags)
        if override.value_type == ValueType.RANGE_SWEEP:
            values = list(override.sweep_iterator())
            kind = IntDistribution if isinstance(values[0], int) else FloatDistribution
            return kind(values[0], values[-1], step=override.value().step)
        return CategoricalDistribution(list(override.sweep_string_iterator()))
    except (ValueError, IndexError) as error:
        raise UserError(f"{override.input_line}: {error}") from error


def _values(distribution: "BaseDistribution") -> list[object]:
    """Every choice, or a number from within a range."""
    return list(distribution.choices) if hasattr(distribution, "choices") else [distribution.low]
