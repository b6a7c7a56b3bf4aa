"""The table of an evaluation: a row for each measure, a column for each checkpoint and the floor."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from gan.metrics.measures.measure import Direction

Values = dict[str, float]
ARROWS = {"lower": " ↓", "higher": " ↑"}


def markdown(columns: Mapping[str, Values], better: Mapping[str, Direction] | None = None) -> str:
    """The columns as a Markdown table, the `<name>_spread` of a value beside it.

    Args:
        columns: values by checkpoint; the column `floor` is no checkpoint.
        better: which direction is better, by name: an arrow shows it, and of several checkpoints the best is bold.
    """
    better = better or {}
    rows = list(dict.fromkeys(key for values in columns.values() for key in values if not key.endswith("_spread")))
    lines = ["| measure | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    for row in rows:
        of_models = [values[row] for name, values in columns.items() if name != "floor" and row in values]
        best = (min if better.get(row) == "lower" else max)(of_models) if row in better and len(of_models) > 1 else None
        cells = []
        for name, values in columns.items():
            spread = f" ± {values[f'{row}_spread']:.2g}" if f"{row}_spread" in values else ""
            cell = f"{values[row]:.4g}{spread}" if row in values else "-"
            cells.append(f"**{cell}**" if name != "floor" and best is not None and values.get(row) == best else cell)
        lines.append(f"| {row}{ARROWS.get(better.get(row), '')} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def means_and_spreads(repeats: list[Values]) -> Values:
    """Means over the repeats and, of several, their standard deviation as `<name>_spread`."""
    means = {key: statistics.fmean(values[key] for values in repeats) for key in repeats[0]}
    if len(repeats) == 1:
        return means
    return means | {f"{key}_spread": statistics.stdev(values[key] for values in repeats) for key in means}


def short_names(paths: Sequence[Path]) -> list[str]:
    """The columns' names: the run's folder and the file's name, and as much before them as tells the files apart.

    A job of a sweep, whose folder is a number, has the sweep's name as well: lr/0/best.
    """
    parts = [[*(part for part in path.parent.parts if part != "checkpoints"), path.stem] for path in paths]
    least = [
        1 if path.parent.name != "checkpoints" else 3 if path.parent.parent.name.isdigit() else 2 for path in paths
    ]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(own[-max(depth, few) :]) for own, few in zip(parts, least, strict=True)]
        if len({*names, "floor"}) == len(names) + 1:
            return names
    return [str(path) for path in paths]
