"""metrics.csv, the table of every value that a run logs."""

import csv
import io
import os
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from gan.atomic_write import flush_to_disk, write_atomic
from gan.loggers.image_axis import ImageAxis
from gan.module import GAN

COUNTS = ("step", "epoch", "images_seen")


class CSVMetrics(ImageAxis, Logger):
    """A CSV file with one row per call, continued when a run resumes in its own folder.

    Lightning's CSVLogger deletes an existing file. This logger appends each row at once. When a run resumes, rows later
    than its checkpoint are deleted, so the file ends up like that of an uninterrupted run. The columns are `step`
    (batches), `epoch`, `images_seen`, then the metrics in the order of their first appearance.

    Args:
        path: the file; its folder is created with the first row.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__()
        self.path = Path(path)
        self._columns = _columns(self.path)

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return ""

    @property
    def save_dir(self) -> str:
        return str(self.path.parent)

    @rank_zero_only
    def follow(self, module: GAN) -> None:
        """Also deletes the rows that a resumed run logs again."""
        super().follow(module)
        self.truncate(module.images_seen)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any]) -> None:
        """Does nothing: `.hydra/` in the run's folder has the whole configuration."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        row: dict[str, float | None] = {"step": step, **metrics}
        if self.module is not None:
            row.setdefault("images_seen", self.module.images_seen)
        row |= {name: round(value) for name in COUNTS if (value := row.get(name)) is not None}
        new = [name for name in (*COUNTS, *row) if name not in self._columns]
        with self.optional_write():
            if new:
                columns = list(dict.fromkeys([*self._columns, *new]))
                self._rewrite(read_rows(self.path), columns)
                self._columns = columns
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self._columns).writerow(row)

    @rank_zero_only
    def save(self) -> None:
        """Waits until the rows are on the disk."""
        with self.optional_write():
            if self.path.exists():
                with self.path.open("ab") as file:
                    flush_to_disk(file)

    def truncate(self, images_seen: int) -> None:
        """Keeps the rows up to `images_seen`; 0, for a new run, keeps none."""
        if not self.path.exists():
            return
        kept = []
        for row in read_rows(self.path) if images_seen else []:
            if int(row["images_seen"] or 0) > images_seen:
                break
            kept.append(row)
        if not images_seen:
            self._columns = list(COUNTS)
        with self.optional_write():
            self._rewrite(kept, self._columns)

    def _rewrite(self, rows: list[dict[str, str]], columns: list[str]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        writer.writerows(rows)
        write_atomic(self.path, text.getvalue())


def read_rows(path: Path) -> list[dict[str, str]]:
    """The file's complete rows as text, "" where a row has no value; no rows if there is no file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        complete = [line for line in file if line.endswith("\n")]
    return list(csv.DictReader(complete))


def _columns(path: Path) -> list[str]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file), [])
