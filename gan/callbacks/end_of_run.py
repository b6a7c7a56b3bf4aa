"""What a run prints at its end: its measures beside their floor, and the commands that come next."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan.config.quoting import quoted
from gan.config.targets import packages_of
from gan.data import Source
from gan.metrics.extractor import CLASSIFIERS
from gan.runs.newest import BEST, LAST, resume_command
from gan.runs.records import read_json

Values = Mapping[str, float]


def results_table(run: Path, floor: Values) -> str:
    """The measures of the last and of the best checkpoint and, where it is known, their floor; empty without any."""
    last, best = (read_json(run / path.with_suffix(".json")) for path in (LAST, BEST))
    columns = {"last": last}
    if best.get("images_seen") != last.get("images_seen"):
        columns[f"best, at {best.get('images_seen', 0):,} images"] = best
    columns = {name: read.get("metrics") or {} for name, read in columns.items()}
    if floor:
        columns["floor"] = dict(floor)
    names = sorted({name for values in columns.values() for name in values if name.startswith("val/")})
    if not names:
        return ""
    rows = [["measure", *columns], *([name, *(_number(each.get(name)) for each in columns.values())] for name in names)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def next_commands(run: Path, source: Source, num_classes: int | None, options: Mapping[str, Any]) -> list[str]:
    """Three commands for a run that is complete, quoted for a shell.

    Args:
        run: its folder.
        source: the data it was trained on.
        num_classes: of its model.
        options: of its model, which may name networks of packages of one's own.
    """
    newest = resume_command(run) == "gan train ckpt_path=last"
    chosen = ["ckpt=last" if newest else f"ckpt={quoted(str(run / LAST))}"]
    own = [package for package in packages_of(dict(options)) if package not in ("gan", "torch")]
    chosen += [f"trust=[{','.join(own)}]"] if own else []
    measured = [] if source.name in CLASSIFIERS or source.shows_digits else ["metrics.extractor=inception"]
    shown = ["digits=[3,1,4]"] if num_classes == 10 else ["num_images=64"]
    commands = (["evaluate", *chosen, *measured], ["generate", *chosen, *shown], ["serve", *chosen])
    return [shlex.join(["gan", *command]) for command in commands]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
