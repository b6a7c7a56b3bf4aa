"""The table of an evaluation: a row for each measure, a column for each set of images and the floor."""

import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from gan.metrics.bootstrap import Interval
from gan.metrics.measures.base import ARROWS, Direction

T = TypeVar("T")
Values = dict[str, float]
Intervals = dict[str, Interval]
OF_A_CLASS = re.compile(r"_class_\d+")


def markdown(
    columns: Mapping[str, Values],
    better: Mapping[str, Direction] | None = None,
    intervals: Mapping[str, Intervals] | None = None,
) -> str:
    """The columns as a Markdown table, the `<name>_spread` of a value and its interval beside it.

    Values of single classes are in a table of their own below. An arrow shows which direction is better, and the best
    of several sets but `floor` is bold.
    """
    keys = dict.fromkeys(key for values in columns.values() for key in values)
    names = [key for key in keys if not (key.endswith("_spread") and key.removesuffix("_spread") in keys)]
    rows = [[key for key in names if bool(OF_A_CLASS.search(key)) == of_a_class] for of_a_class in (False, True)]
    return "\n".join(_table(part, columns, better or {}, intervals or {}) for part in rows if part)


def _table(
    rows: Sequence[str],
    columns: Mapping[str, Values],
    better: Mapping[str, Direction],
    intervals: Mapping[str, Intervals],
) -> str:
    titles = [name.replace("|", r"\|") for name in columns]
    lines = ["| measure | " + " | ".join(titles) + " |", "| --- |" + " --- |" * len(columns)]
    for row in rows:
        of_models = {values[row] for name, values in columns.items() if name != "floor" and row in values}
        best = (min if better.get(row) == "lower" else max)(of_models) if row in better and len(of_models) > 1 else None
        cells = []
        for name, values in columns.items():
            spread = f" ± {values[f'{row}_spread']:.2g}" if f"{row}_spread" in values else ""
            bounds = " [{:.4g}, {:.4g}]".format(*intervals[name][row]) if row in intervals.get(name, {}) else ""
            cell = f"{values[row]:.4g}{spread}{bounds}" if row in values else "-"
            cells.append(f"**{cell}**" if name != "floor" and best is not None and values.get(row) == best else cell)
        lines.append(f"| {row}{ARROWS[better.get(row)]} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def over_repeats(results: Sequence[tuple[Values, Intervals]]) -> tuple[Values, Intervals]:
    """Means over the repeats, the standard deviation of several as `<name>_spread`, and means of the bounds."""
    values = _by_key([values for values, _ in results])
    bounds = _by_key([intervals for _, intervals in results])
    means = {key: statistics.fmean(each) for key, each in values.items()}
    spreads = {f"{key}_spread": statistics.stdev(each) for key, each in values.items() if len(each) > 1}
    ends = {key: [statistics.fmean(side) for side in zip(*each, strict=True)] for key, each in bounds.items()}
    return means | spreads, {key: (low, high) for key, (low, high) in ends.items()}


def _by_key(repeats: Sequence[Mapping[str, T]]) -> dict[str, list[T]]:
    keys = dict.fromkeys(key for values in repeats for key in values)
    return {key: [values[key] for values in repeats if key in values] for key in keys}


def _least_parts(path: Path) -> int:
    """How many parts a name has; a job of a sweep, whose folder is a number, has the sweep's as well: lr/0/best."""
    if path.parent.name == "checkpoints":
        return 3 if path.parent.parent.name.isdigit() else 2
    return 2 if path.stem == "generator" else 1  # each run has such a file


def short_names(paths: Sequence[Path]) -> list[str]:
    """The columns' names: the run's folder and the file's name, and as much before them as tells the files apart."""
    parts = [[*(part for part in path.parent.parts if part != "checkpoints"), path.stem] for path in paths]
    least = [_least_parts(path) for path in paths]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(own[-max(depth, few) :]) for own, few in zip(parts, least, strict=True)]
        if len({*names, "floor"}) == len(names) + 1:
            return names
    return [str(path) for path in paths]
