"""The results of a sweep: a table (sweep.csv, sweep.md), the best job's command line, and a figure (sweep.png)."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from gan.atomic_write import atomic_file, write_atomic
from gan.runs.records import training_command
from gan.sweeps.job_records import FAILED, FINISHED, PRUNED, UNFINISHED, Job, comparable, read_jobs

LOCK = ".lock"  # held while a sweep runs
Cell = str | float | None


def write_report(folder: Path, running: bool) -> str:
    """Writes the table and the figure of all jobs in a folder, each atomically, and returns the text of sweep.md."""
    jobs = read_jobs(folder)
    columns, rows = table(jobs, running)
    text = io.StringIO(newline="")
    csv.writer(text).writerows([columns, *rows])
    described = markdown(folder.name, jobs, columns, rows)
    for name, content in {"sweep.csv": text.getvalue(), "sweep.md": described}.items():
        write_atomic(folder / name, content)
    if comparable(jobs):
        from gan.sweeps.figure import plot

        with atomic_file(folder / "sweep.png") as file:
            plot(jobs, varying(jobs)).savefig(file, format="png", dpi=120)
    return described


def table(jobs: Sequence[Job], running: bool) -> tuple[list[str], list[list[Cell]]]:
    """Names of the columns, and a row for each job: settings that differ between jobs, then measures of validation."""
    changed = varying(jobs)
    measured = [name for job in jobs for name in (job.monitor, *job.measures)]
    measures = [name for name in dict.fromkeys(measured) if name.startswith("val/") and "_std_" not in name]
    attributes = ["images", "minutes"]
    if any(job.status == PRUNED for job in jobs):
        attributes += ["images_saved", "minutes_saved"]
    if any(job.reason for job in jobs):
        attributes.append("reason")
    rows = [
        [
            job.name,
            "running" if running and job.status == UNFINISHED else job.status,
            *(job.settings.get(key) for key in changed),
            *(job.measures.get(name) for name in measures),
            *(getattr(job, name) for name in attributes),
        ]
        for job in jobs
    ]
    return ["job", "status", *changed, *measures, *(name.replace("_", " ") for name in attributes)], rows


def markdown(name: str, jobs: Sequence[Job], columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """The text of sweep.md."""
    cells = [columns, ["---"] * len(columns), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    padded = [[f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)] for row in cells]
    counts = {status: sum(job.status == status for job in jobs) for status in (FINISHED, PRUNED, FAILED, UNFINISHED)}
    summary = ", ".join(f"{count} {status}" for status, count in counts.items() if count) or "no jobs"
    text = f"# Sweep {name}: {summary}\n\n" + "".join(f"| {' | '.join(row)} |\n" for row in padded)
    if counts[PRUNED]:
        text += f"\n{_saving(jobs)}\n"
    best, before = best_jobs(jobs), "Measures are those of each job's best checkpoint. "
    several_data = len({job.data for job in best}) > 1
    for job in best:
        of_data = f" of {job.data}" if several_data and job.data else ""
        text += f"\n{before}The lowest {job.monitor}{of_data}, {job.score:.4g}, is that of job {job.name}:\n"
        text += f"\n    {training_command(job.folder)}\n"
        before = ""
    return text


def _saving(jobs: Sequence[Job]) -> str:
    """What pruning has saved: images, and the minutes that they would have taken at the rate of each pruned job."""
    pruned = [job for job in jobs if job.status == PRUNED]
    where = ", ".join(f"{job.name} (after {job.images or 0:,} images)" for job in pruned)
    images, minutes = (sum(getattr(job, name) or 0 for job in pruned) for name in ("images_saved", "minutes_saved"))
    every = [sum(getattr(job, name) or 0 for job in jobs) for name in ("images", "minutes")]
    of_images, of_minutes = f"{images:,} of {images + every[0]:,}", f"{minutes:,.1f} of {minutes + every[1]:,.1f}"
    return f"Pruned: {where}. That saved {of_images} images, and about {of_minutes} minutes."


def best_jobs(jobs: Sequence[Job]) -> list[Job]:
    """The job with the lowest score of each group that can be compared; the first of several with the same score."""
    return [min(group, key=lambda job: (job.score is None, job.score)) for group in comparable(jobs)]


def varying(jobs: Sequence[Job]) -> list[str]:
    """Keys of the settings that differ between jobs."""
    every = [job.settings for job in jobs]
    return [key for key in dict.fromkeys(key for one in every for key in one) if len({o.get(key) for o in every}) > 1]


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, str):  # the name of a job, a setting or a reason
        return cell.replace("|", "\\|")
    return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.4g}"
