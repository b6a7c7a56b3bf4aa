"""Prints the results of a sweep, also while it runs: `gan sweeps`, `gan sweeps sweep_name=lr`."""

from pathlib import Path

from filelock import FileLock, Timeout
from omegaconf import DictConfig

from gan.errors import UserError
from gan.runs.newest import subfolders
from gan.sweeps.job_records import OVERRIDES, read_jobs
from gan.sweeps.sweep_table import LOCK, markdown, table, write_report

ROOT = Path("outputs/multirun")


def sweeps(cfg: DictConfig) -> str:
    """Prints and returns the table of a sweep or, without writing anything there, of another folder of runs."""
    folder = _folder(None if cfg.sweep_name in (None, "") else str(cfg.sweep_name))
    running = _is_running(folder)
    if (folder / "multirun.yaml").is_file() or (folder / LOCK).exists():
        text = f"{write_report(folder, running)}\ntable, figure and jobs: {folder.absolute()}"
    else:
        jobs = read_jobs(folder)
        text = f"{markdown(folder.name, jobs, *table(jobs, running))}\nruns: {folder.absolute()}"
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
            if read_jobs(folder):
                return folder
            raise UserError(f"sweep_name={named}: {folder} has no runs in it")
    raise UserError(f"sweep_name={named}: there is no folder {ROOT / named}, nor {named}")


def _is_running(folder: Path) -> bool:
    if not (folder / LOCK).exists():
        return False
    try:
        with FileLock(folder / LOCK, blocking=False):
            return False
    except Timeout:
        return True
