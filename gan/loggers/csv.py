"""metrics.csv, the table of every value that a run logs."""

import csv
import io
import logging
import math
import os
from itertools import takewhile
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from gan.atomic_write import flush_to_disk, write_atomic
from gan.loggers.image_axis import ImageAxis
from gan.module import GAN

COUNTS = ("step", "epoch", "images_seen")

log = logging.getLogger("gan")


class CSVMetrics(ImageAxis, Logger):
    """A CSV file with one row per call, continued when a run resumes in its own folder.

    Lightning's CSVLogger deletes an existing file; here a resumed run deletes the rows later than its checkpoint only.
    The columns are `step` (batches), `epoch`, `images_seen`, then the metrics in the order of their first appearance.
    """

    name, version, save_dir = "csv", "", ""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__()
        self.path = Path(path)
        self.save_dir = str(self.path.parent)
        self._columns = list(_reader(self.path).fieldnames or [])
        self._torn = False  # whether a full disk may have cut off the last row

    @rank_zero_only
    def follow(self, module: GAN) -> None:
        """Also deletes the rows that a resumed run logs again, and for a new run all rows."""
        super().follow(module)
        if not self.path.exists():
            return
        rows: list[dict[str, str]] = []
        if module.images_seen:
            found = list(_reader(self.path))
            whole = [row for row in found if _is_whole(row)]
            if lost := len(found) - len(whole):
                log.warning("%s: %d rows are deleted, which do not say how many images were seen", self.path, lost)
            rows = list(takewhile(lambda row: images_of(row) <= module.images_seen, whole))
        else:
            self._columns = list(COUNTS)
        with self.files.writing(self.path):
            self._rewrite(rows, self._columns)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Does nothing: `.hydra/` in the run's folder has the whole configuration."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        row: dict[str, float | None] = {"step": step, **metrics}
        if self.module is not None:
            row["images_seen"] = self.images_at(metrics, step)
        row |= {name: round(value) for name in COUNTS if (value := row.get(name)) is not None}
        columns = list(dict.fromkeys([*self._columns, *COUNTS, *row]))
        with self.files.writing(self.path):
            if columns != self._columns or self._torn:
                self._rewrite(read_rows(self.path), columns)
            self._columns, self._torn = columns, True
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self._columns).writerow(row)
            self._torn = False

    @rank_zero_only
    def save(self) -> None:
        """Waits until the rows are on the disk."""
        with self.files.writing(self.path):
            if self.path.exists():
                flush_to_disk(self.path)

    def _rewrite(self, rows: list[dict[str, str]], columns: list[str]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        writer.writerows(rows)
        write_atomic(self.path, text.getvalue())


def read_rows(path: Path) -> list[dict[str, str]]:
    """The file's rows as text, "" where a row has no value; no rows if there is no file.

    A row that does not say how many images were seen is left out: a crash or a hand has damaged it.
    """
    return [row for row in _reader(path) if _is_whole(row)]


def images_of(row: dict[str, str]) -> int:
    """The images seen at a row; 0 if it does not say."""
    return int(float(row["images_seen"] or 0))  # a spreadsheet may have saved it as 160.0


def _is_whole(row: dict[str, str]) -> bool:
    try:
        return math.isfinite(float(row["images_seen"] or 0)) and None not in row  # None: what is beyond the columns
    except (KeyError, ValueError):
        return False


def _reader(path: Path) -> "csv.DictReader[str]":
    if not path.exists():
        return csv.DictReader([])
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        return csv.DictReader([line for line in file if line.endswith("\n")])
