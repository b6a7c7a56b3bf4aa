"""The table of an evaluation: a row for each measure, a column for each checkpoint and the floor."""

import statistics
from collections.abc import Sequence
from pathlib import Path

Values = dict[str, float]


def markdown(columns: dict[str, Values]) -> str:
    """The columns as a Markdown table, the `<name>_spread` of a value beside it."""
    rows = list(dict.fromkeys(key for values in columns.values() for key in values if not key.endswith("_spread")))
    lines = ["| measure | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    for row in rows:
        cells = []
        for values in columns.values():
            spread = f" ± {values[f'{row}_spread']:.2g}" if f"{row}_spread" in values else ""
            cells.append(f"{values[row]:.4g}{spread}" if row in values else "-")
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def means_and_spreads(repeats: list[Values]) -> Values:
    """Means over the repeats and, of several, their standard deviation as `<name>_spread`."""
    means = {key: statistics.fmean(values[key] for values in repeats) for key in repeats[0]}
    if len(repeats) == 1:
        return means
    return means | {f"{key}_spread": statistics.stdev(values[key] for values in repeats) for key in means}


def short_names(paths: Sequence[Path]) -> list[str]:
    """The columns' names: the run's folder and the file's name, or whole paths where these are not unique."""
    in_runs = [path.parent.name == "checkpoints" for path in paths]
    names = [
        f"{path.parent.parent.name}/{path.stem}" if run else path.stem for path, run in zip(paths, in_runs, strict=True)
    ]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]
