"""Prints the results of a sweep, also while it runs: `gan sweeps`, `gan sweeps sweep_name=lr`."""

import os
from pathlib import Path

from filelock import FileLock, Timeout
from omegaconf import DictConfig

from gan.atomic_write import hindrance_to_writing
from gan.errors import UserError
from gan.runs.newest import LAST, subfolders
from gan.sweeps.job_records import OVERRIDES, Job, read_jobs
from gan.sweeps.sweep_table import LOCK, markdown, table, write_report

ROOT = Path("outputs/multirun")


def sweeps(cfg: DictConfig) -> str:
    """Prints and returns the table of a sweep or, without writing anything there, of another folder of runs.

    Nothing is written into a sweep that may not be written, such as another user's.
    """
    folder = _folder(None if cfg.sweep_name in (None, "") else str(cfg.sweep_name))
    lock = folder / LOCK
    may_write = not hindrance_to_writing(folder) and (not lock.exists() or os.access(lock, os.W_OK))
    if _is_sweep(folder) and may_write:
        text = f"{write_report(folder, _is_running(folder))}\ntable, figure and jobs: {folder.absolute()}"
    else:
        jobs = _runs(folder)
        text = f"{markdown(folder.name, jobs, *table(jobs, running=False))}\nruns: {folder.absolute()}"
    print(text)
    return text


def _folder(named: str | None) -> Path:
    if named is None:
        paths = [path for sweep in subfolders(ROOT) for job in subfolders(sweep) if (path := job / OVERRIDES).is_file()]
        if not paths:
            raise UserError(f"no sweep under {ROOT.absolute()}; `gan train --multirun seed=1,2` makes one")
        return max(paths, key=lambda path: path.stat().st_mtime).parents[2]
    for folder in (ROOT / named, Path(named)):
        if folder.is_dir():
            if _runs(folder):
                return folder
            raise UserError(f"sweep_name={named}: {folder} has no runs in it")
    raise UserError(f"sweep_name={named}: there is no folder {ROOT / named}, nor {named}")


def _is_sweep(folder: Path) -> bool:
    return (folder / "multirun.yaml").is_file() or (folder / LOCK).exists()


def _runs(folder: Path) -> list[Job]:
    """The jobs of a sweep, or the trainings in another folder: other commands leave settings as well."""
    jobs = read_jobs(folder)
    return jobs if _is_sweep(folder) else [job for job in jobs if (job.folder / LAST.parent).is_dir()]


def _is_running(folder: Path) -> bool:
    if not (folder / LOCK).exists():
        return False
    try:
        with FileLock(folder / LOCK, blocking=False):
            return False
    except Timeout:
        return True
