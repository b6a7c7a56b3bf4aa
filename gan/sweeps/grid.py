"""`gan train --multirun a=1,2 b=3,4`: every combination, each of them once however often the sweep is started."""

import itertools
import logging
from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gan.errors import UserError
from gan.sweeps.jobs import FINISHED, Job, settings
from gan.sweeps.sweep import STUDY, Sweep

log = logging.getLogger("gan")
COMPARED = ("model", "data", "trainer", "max_images")  # what a result depends on, wherever its job runs


def run_grid(sweep: Sweep) -> None:
    """Runs the combinations that the sweep's folder has no finished job of; failed ones are tried again.

    A combination is known by its settings: other values added to a sweep of the same name become further jobs.

    Raises:
        UserError, HydraException: a mistake in any of the combinations, before the first job starts.
        SystemExit: of status 1, when a job failed.
    """
    choices = [[text] for text in sweep.fixed]
    for key, override in sweep.swept.items():
        if not override.is_discrete_sweep():
            raise UserError(f"{override.input_line}: an interval has no end of values; sweep=optuna draws from it")
        choices.append([f"{key}={value}" for value in override.sweep_string_iterator()])
    wanted = {frozenset(settings(combination).items()): combination for combination in itertools.product(*choices)}
    configs = {key: sweep.compose(combination) for key, combination in wanted.items()}
    with sweep.session():
        if (sweep.folder / STUDY).exists():
            raise UserError(f"sweep_name={sweep.name}: that is a search of Optuna's; another name starts a grid")
        jobs = sweep.jobs()
        known = {frozenset(job.settings.items()): number for number, job in jobs.items()}
        free = (number for number in itertools.count() if number not in jobs)
        plan = {known[key] if key in known else next(free): combination for key, combination in wanted.items()}
        todo = {n: plan[n] for n in sorted(plan) if n not in jobs or jobs[n].status != FINISHED}
        for key in wanted.keys() & known.keys():
            job = jobs[known[key]]
            if job.status == FINISHED and (changed := _changed(job, configs[key])):
                log.warning("job %s has run with another %s; a new sweep_name starts afresh", job.name, changed)
        log.info("%s: %d of %d jobs to run", sweep.folder, len(todo), len(plan))
        sweep.launch(todo)
    sweep.end(list(plan))


def _changed(job: Job, config: DictConfig) -> str:
    """Keys that had other values when a job ran, since the configs its settings select have been edited."""
    then = dict(_values(OmegaConf.to_container(OmegaConf.load(job.folder / ".hydra" / "config.yaml"))))
    now = dict(_values(OmegaConf.to_container(config)))
    keys = (key for key in {**then, **now} if key.partition(".")[0] in COMPARED)
    return ", ".join(key for key in keys if then.get(key) != now.get(key))


def _values(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each value of a config by its full key."""
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _values(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
