"""The state of a job, read from its folder. The sweep's table, a resumed sweep and Optuna's study use nothing else."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from gan.atomic_write import write_json
from gan.config.overrides import ckpt_path_of, in_braces, is_of_sweep
from gan.optional_files import read_json
from gan.runs.newest import BEST, LAST
from gan.runs.records import OVERRIDES, read_yaml

FINISHED, PRUNED, FAILED, UNFINISHED = "finished", "pruned", "failed", "unfinished"
COMPLETE = (FINISHED, PRUNED)  # a job with one of these does not run again
OUTCOME = "job.json"
VALIDATIONS = "validations.json"  # of a job that a search may prune


class Job(NamedTuple):
    """One run of a sweep."""

    folder: Path
    overrides: list[str]  # of the command line, in Hydra's grammar
    status: str  # finished, pruned (finished early), failed or unfinished (still running, or interrupted)
    reason: str = ""  # why it failed, in one line
    monitor: str = ""  # name of the monitored value, such as val/fid_mnist; "" before the first checkpoint
    measures: dict[str, float | None] = {}  # of the best checkpoint; None for one that is not finite
    images: int | None = None  # real images seen
    minutes: float | None = None  # of training
    validations: list[float | None] = []  # the monitored value at each, as a search's pruner was told
    images_planned: int | None = None  # real images of the whole run, where that is known
    data: str = ""  # name of its images; "" before its end

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def settings(self) -> dict[str, str]:
        return swept_settings(self.overrides)

    @property
    def score(self) -> float | None:
        """The monitored value of a finished job's best checkpoint."""
        return self.measures.get(self.monitor) if self.status == FINISHED else None

    @property
    def images_saved(self) -> int | None:
        """Images that a pruned job did not train on; None if its whole length is not known."""
        if self.status != PRUNED or self.images is None or self.images_planned is None:
            return None
        return max(0, self.images_planned - self.images)

    @property
    def minutes_saved(self) -> float | None:
        """The minutes that these images would have taken at the job's own rate."""
        saved = self.images_saved
        if saved is None or self.minutes is None or not self.images:
            return None
        return round(self.minutes * saved / self.images, 2)


def settings(overrides: Sequence[str]) -> dict[str, str]:
    """The overrides by key, without the sweep's own; a group's values in braces, beside its choice, as `KEY.{}`."""
    texts = [text for text in overrides if not is_of_sweep(text) and ckpt_path_of(text) != "auto"]
    pairs = [(*text.partition("=")[::2], in_braces(text)) for text in texts]
    chosen = {key for key, _, braces in pairs if not braces}
    return {f"{key}.{{}}" if braces and key in chosen else key: value for key, value, braces in pairs}


def swept_settings(overrides: Sequence[str]) -> dict[str, str]:
    """The same settings however each value was typed: what a job is found by."""
    return settings([as_swept(text) for text in overrides])


@cache
def as_swept(override: str) -> str:
    """The override as Hydra writes each of several values: `0.001` for `1e-3`, `True` for `true`, `x\\ y` for `x y`."""
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException:  # a hand has edited it
        return override
    if parsed.is_delete() or parsed.is_sweep_override():
        return override
    return f"{parsed.get_key_element()}={parsed.get_value_element_as_str()}"


def comparable(jobs: Sequence[Job]) -> list[list[Job]]:
    """The jobs with a score, in groups of one measure and one data set; the largest group first."""
    groups: dict[tuple[str, str], list[Job]] = {}
    for job in jobs:
        if job.score is not None:
            groups.setdefault((job.monitor, job.data), []).append(job)
    return sorted(groups.values(), key=len, reverse=True)


def read_jobs(folder: Path) -> list[Job]:
    """The jobs in a folder of runs, sorted by number, then by name. Folders without readable settings are skipped."""
    jobs = [job for path in folder.glob(f"*/{OVERRIDES}") if (job := read_job(path.parent.parent))]
    return sorted(jobs, key=lambda job: (not job.name.isdigit(), job.name.zfill(9)))


def read_job(folder: Path) -> Job | None:
    """The job in a folder; None if it was killed before its settings were written, or they are damaged."""
    overrides = read_yaml(folder / OVERRIDES)
    if not isinstance(overrides, list) or not all(isinstance(text, str) for text in overrides):
        return None
    summary, outcome = read_json(folder / "summary.json"), read_json(folder / OUTCOME)
    told = read_json(folder / VALIDATIONS)
    last = read_json(folder / LAST.with_suffix(".json"))
    best = read_json(folder / BEST.with_suffix(".json")) or last
    monitor, measures = best.get("monitor") or "", best.get("metrics") or {}
    status, reason = outcome.get("status", FINISHED if summary else UNFINISHED), outcome.get("reason", "")
    if status == FINISHED and told.get("pruned"):
        status = PRUNED
    if status == FINISHED and monitor in measures and measures[monitor] is None:
        status, reason = FAILED, f"{monitor} is not a number"
    return Job(
        folder,
        overrides,
        status,
        reason,
        monitor,
        measures,
        images=last.get("images_seen"),
        minutes=summary.get("minutes"),
        validations=told.get("values", []),
        images_planned=told.get("images_planned"),
        data=summary.get("data", ""),
    )


def write_outcome(folder: Path, status: str, reason: str = "", traceback: str = "") -> None:
    """Records how a job ended."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / OUTCOME, {"status": status, "reason": reason, "traceback": traceback.splitlines()})
