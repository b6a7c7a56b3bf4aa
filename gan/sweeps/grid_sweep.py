"""`gan train --multirun a=1,2 b=3,4`: every combination of values. A resumed sweep does not repeat finished jobs."""

import itertools
import logging

from omegaconf import DictConfig, OmegaConf

from gan.config.targets import leaves
from gan.errors import UserError
from gan.runs.records import read_yaml
from gan.sweeps.job_records import FINISHED, Job, swept_settings
from gan.sweeps.sweep import STUDY_FILE, Sweep

log = logging.getLogger("gan")
COMPARED = ("model", "data", "trainer", "max_images", "seed", "metrics", "init_from")  # what a job's result depends on
NAMED = 10  # keys in a warning


def run_grid(sweep: Sweep) -> None:
    """Runs every combination that has no finished job in the sweep's folder yet; jobs are found by their settings."""
    choices = [[text] for text in sweep.fixed]
    for name, override in sweep.swept.items():
        if not override.is_discrete_sweep():
            raise UserError(f"{override.input_line}: an interval has infinitely many values; sweep=optuna samples it")
        choices.append([sweep.override(name, value) for value in override.sweep_string_iterator()])
    wanted = {frozenset(swept_settings(texts).items()): texts for texts in itertools.product(*choices)}
    configs = {key: sweep.compose(combination) for key, combination in wanted.items()}

    def run_jobs() -> list[int]:
        if (sweep.folder / STUDY_FILE).exists():
            raise UserError(f"sweep_name={sweep.name}: this is the name of an Optuna search; choose another for a grid")
        jobs = sweep.jobs()
        known = {frozenset(job.settings.items()): number for number, job in jobs.items()}
        free = (number for number in itertools.count() if number not in jobs)
        plan = {known[key] if key in known else next(free): combination for key, combination in wanted.items()}
        todo = {n: plan[n] for n in sorted(plan) if n not in jobs or jobs[n].status != FINISHED}
        for key in wanted.keys() & known.keys():
            job = jobs[known[key]]
            if job.status == FINISHED:
                _warn_of_changes(job, configs[key])
        log.info("%s: %d of %d jobs to run", sweep.folder, len(todo), len(plan))
        sweep.launch(todo)
        return list(plan)

    sweep.run(run_jobs)


def _warn_of_changes(job: Job, config: DictConfig) -> None:
    """Names the keys whose values differ from those that a job ran with, because configs were edited since."""
    path = job.folder / ".hydra" / "config.yaml"
    saved = read_yaml(path)
    if not isinstance(saved, dict) or not saved:
        log.warning("job %s: %s is damaged or missing, so changes since then are not known", job.name, path)
        return
    then, now = dict(leaves(saved)), dict(leaves(OmegaConf.to_container(config)))
    keys = (key for key in {**then, **now} if key.partition(".")[0] in COMPARED)
    changed = [key for key in keys if then.get(key) != now.get(key)]
    if changed:
        names = ", ".join(changed[:NAMED]) + (f" and {len(changed) - NAMED} more" if len(changed) > NAMED else "")
        log.warning("job %s ran with another %s; a new sweep_name starts a new sweep", job.name, names)
