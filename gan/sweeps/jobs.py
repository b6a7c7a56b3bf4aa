"""What a job's folder says of it: the sweep's table, a restart and Optuna's study all go by that alone."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf
from yaml import YAMLError

from gan.atomic_write import write_json

FINISHED, FAILED, UNFINISHED = "finished", "failed", "unfinished"
NOT_A_JOBS = ("sweep", "sweep_name", "n_trials", "launcher")  # keys of the sweep that change nothing in a job
OVERRIDES = Path(".hydra", "overrides.yaml")
OUTCOME = "job.json"


class Job(NamedTuple):
    """One run of a sweep. Its measures are those of its best checkpoint, the lowest `goal` so far.

    Args:
        folder: of the run; its name is the job's.
        overrides: of the command line, in Hydra's grammar.
        status: finished, failed or unfinished (still running, or interrupted).
        reason: of a failure, in one line.
        goal: name of the measure that its checkpoints are chosen by, "" before the first checkpoint.
        measures: by name, such as val/fid_mnist; None for a value that is no number.
        images: real images seen.
        minutes: of training.
    """

    folder: Path
    overrides: list[str]
    status: str
    reason: str = ""
    goal: str = ""
    measures: dict[str, float | None] = {}
    images: int | None = None
    minutes: float | None = None

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def settings(self) -> dict[str, str]:
        return settings(self.overrides)

    @property
    def score(self) -> float | None:
        """The goal's value in the best checkpoint of a finished job."""
        return self.measures.get(self.goal) if self.status == FINISHED else None


def settings(overrides: Sequence[str]) -> dict[str, str]:
    """What makes a job the one it is: overrides by key, the order and the sweep's own keys left out."""
    pairs = (text.partition("=") for text in overrides)
    return {key: value for key, _, value in pairs if key not in NOT_A_JOBS}


def read_jobs(folder: Path) -> list[Job]:
    """The jobs in a folder of runs, by number, then by name; folders that do not say their settings are none."""
    jobs = [job for path in folder.glob(f"*/{OVERRIDES}") if (job := read_job(path.parent.parent))]
    return sorted(jobs, key=lambda job: (not job.name.isdigit(), job.name.zfill(9)))


def read_job(folder: Path) -> Job | None:
    """The job in a folder; None where a kill came before it had written its settings whole."""
    if not (folder / OVERRIDES).is_file():
        return None
    try:
        overrides = OmegaConf.to_container(OmegaConf.load(folder / OVERRIDES))
    except YAMLError:
        return None
    if not isinstance(overrides, list):
        return None
    summary, outcome = _read(folder / "summary.json"), _read(folder / OUTCOME)
    last = _read(folder / "checkpoints" / "last.json")
    best = _read(folder / "checkpoints" / "best.json") or last
    goal, measures = best.get("monitor", ""), best.get("metrics", {})
    status, reason = outcome.get("status", FINISHED if summary else UNFINISHED), outcome.get("reason", "")
    if status == FINISHED and goal in measures and measures[goal] is None:
        status, reason = FAILED, f"{goal} is not a number"
    return Job(folder, overrides, status, reason, goal, measures, last.get("images_seen"), summary.get("minutes"))


def write_outcome(folder: Path, status: str, reason: str = "", traceback: str = "") -> None:
    """Records how a job ended."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / OUTCOME, {"status": status, "reason": reason, "traceback": traceback.splitlines()})


def _read(path: Path) -> dict[str, Any]:
    """A JSON object in a file; nothing where there is none, or half of one that a kill left."""
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return content if isinstance(content, dict) else {}
