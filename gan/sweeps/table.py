"""What came of a sweep: a table (sweep.csv, sweep.md), the best job's command line, a figure (sweep.png)."""

import csv
import io
import shlex
from collections.abc import Sequence
from pathlib import Path

from gan.atomic_write import atomic_file
from gan.sweeps.jobs import FAILED, FINISHED, NOT_A_JOBS, UNFINISHED, Job, read_jobs
from gan.train.resume import config_dir_flags

LOCK = ".lock"  # held while a sweep runs
Cell = str | float | None


def write_report(folder: Path, running: bool) -> str:
    """Writes the table and the figure of the jobs there are; each file appears whole.

    Args:
        folder: of the sweep, or any folder of runs.
        running: whether jobs that have not ended are still at it.

    Returns:
        What sweep.md says: the table, aligned for the terminal as well, the best job and its command line.
    """
    jobs = read_jobs(folder)
    columns, rows = table(jobs, running)
    text = io.StringIO(newline="")
    csv.writer(text).writerows([columns, *rows])
    described = _markdown(folder.name, jobs, columns, rows)
    for name, content in {"sweep.csv": text.getvalue(), "sweep.md": described}.items():
        with atomic_file(folder / name) as file:
            file.write(content.encode())
    if any(job.score is not None for job in jobs):
        from gan.sweeps.figure import draw

        with atomic_file(folder / "sweep.png") as file:
            draw(jobs, varying(jobs)).savefig(file, format="png", dpi=120)
    return described


def table(jobs: Sequence[Job], running: bool) -> tuple[list[str], list[list[Cell]]]:
    """Names of the columns, and a row for each job: the settings that differ, then the measures of validation."""
    changed = varying(jobs)
    measured = [name for job in jobs for name in (job.goal, *job.measures)]
    measures = [name for name in dict.fromkeys(measured) if name.startswith("val/") and "_std_" not in name]
    columns = ["job", "status", *changed, *measures, "images", "minutes"]
    rows = [
        [
            job.name,
            "running" if running and job.status == UNFINISHED else job.status,
            *(job.settings.get(key) for key in changed),
            *(job.measures.get(name) for name in measures),
            job.images,
            job.minutes,
        ]
        for job in jobs
    ]
    if any(job.reason for job in jobs):
        columns.append("reason")
        rows = [[*row, job.reason] for row, job in zip(rows, jobs, strict=True)]
    return columns, rows


def _markdown(name: str, jobs: Sequence[Job], columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    cells = [columns, ["---"] * len(columns), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    counts = {status: sum(job.status == status for job in jobs) for status in (FINISHED, FAILED, UNFINISHED)}
    said = ", ".join(f"{count} {status}" for status, count in counts.items() if count) or "no jobs"
    text = f"# Sweep {name}: {said}\n\n" + "\n".join(lines) + "\n"
    if (best := best_job(jobs)) is not None:
        text += f"\nMeasures are those of each job's best checkpoint. The lowest {best.goal}, {best.score:.4g}, "
        text += f"is that of job {best.name}:\n\n    {shlex.join(command_line(best))}\n"
    return text


def best_job(jobs: Sequence[Job]) -> Job | None:
    """The finished job of the lowest score, the first of equals."""
    return min((job for job in jobs if job.score is not None), key=lambda job: job.score, default=None)


def command_line(job: Job) -> list[str]:
    """What runs a job alone: the words of a `gan train` command."""
    own = [text for text in job.overrides if text.partition("=")[0] not in NOT_A_JOBS]
    return ["gan", "train", *config_dir_flags(job.folder), *own]


def varying(jobs: Sequence[Job]) -> list[str]:
    """Keys of the settings that are not the same in all jobs."""
    every = [job.settings for job in jobs]
    return [key for key in dict.fromkeys(key for one in every for key in one) if len({o.get(key) for o in every}) > 1]


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, str):
        try:
            cell = float(cell)
        except ValueError:
            return cell.replace("|", "\\|")
    return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.4g}"
