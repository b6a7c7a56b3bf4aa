"""The figure of a sweep: the monitored value of each job, and against each setting that differs between jobs."""

import itertools
import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from gan.sweeps.job_records import FAILED, PRUNED, Job, comparable

LOG_FROM = 4  # an axis is logarithmic if its largest value is at least so many times its smallest
TICKS = 6  # an axis with at most so many values has a tick for each


def plot(jobs: Sequence[Job], keys: Sequence[str]) -> Figure:
    """A panel with each job's score and the best so far, then one for each key, of the largest comparable group."""
    scored = comparable(jobs)[0]
    scores = [job.score for job in scored if job.score is not None]
    columns = math.ceil(math.sqrt(1 + len(keys)))
    rows = math.ceil((1 + len(keys)) / columns)
    figure = Figure(figsize=(4.2 * columns, 3.4 * rows), layout="constrained")
    for place, key in enumerate([None, *keys], start=1):
        axes = figure.add_subplot(rows, columns, place)
        if key is None:
            _plot_over_jobs(axes, jobs, scored, scores)
        else:
            _plot_against(axes, key, scored, scores)
        if _needs_log_scale(scores):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
            axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
        axes.set_ylabel(scored[0].monitor)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _plot_over_jobs(axes: Axes, jobs: Sequence[Job], scored: Sequence[Job], scores: Sequence[float]) -> None:
    places = {job.name: place for place, job in enumerate(jobs)}
    x = [places[job.name] for job in scored]
    axes.plot(x, scores, "o", color="tab:blue", label="job")
    lowest = {places[job.name]: job.measures.get(scored[0].monitor) for job in jobs if job.status == PRUNED}
    if pruned := {place: value for place, value in lowest.items() if value is not None}:
        axes.plot([*pruned], [*pruned.values()], "o", color="tab:gray", fillstyle="none", label="pruned")
    best = list(itertools.accumulate(scores, min))
    axes.step(x, best, where="post", color="tab:orange", label="best so far")
    if failed := [places[job.name] for job in jobs if job.status == FAILED]:
        top = axes.get_xaxis_transform()  # failed jobs have no score: crosses at the upper edge
        axes.plot(failed, [0.97] * len(failed), "x", color="tab:red", transform=top, label="failed")
    axes.set_xlabel("job")
    axes.locator_params(axis="x", integer=True)
    axes.legend(frameon=False)


def _plot_against(axes: Axes, key: str, scored: Sequence[Job], scores: Sequence[float]) -> None:
    values = [job.settings.get(key, "default") for job in scored]
    try:
        x = [float(value) for value in values]
    except ValueError:
        names = list(dict.fromkeys(values))
        x = [names.index(value) for value in values]
        axes.set_xticks(range(len(names)), names, parse_math=False)  # a `$` may be of ${...}
    else:
        axes.locator_params(axis="x", nbins=5)
        if _needs_log_scale(x):
            axes.set_xscale("log")
        if len(set(x)) <= TICKS:
            axes.set_xticks(sorted(set(x)), [f"{value:g}" for value in sorted(set(x))])
            axes.minorticks_off()
    best = scores.index(min(scores))
    axes.plot(x, scores, "o", color="tab:blue")
    axes.plot(x[best], scores[best], "o", color="tab:orange")
    axes.set_xlabel(key)


def _needs_log_scale(numbers: Sequence[float]) -> bool:
    """Whether a logarithmic scale suits the numbers better."""
    return min(numbers) > 0 and max(numbers) >= LOG_FROM * min(numbers)
