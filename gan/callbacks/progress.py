"""The progress of a run: one bar for all of it on a terminal, a line for each epoch in a file."""

import logging
import math
import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, TextIO

from lightning.pytorch.callbacks import ProgressBar as LightningProgressBar
from lightning.pytorch.callbacks import Timer
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar as Bar
from rich.table import Table
from rich.text import Text

from gan.callbacks.budget import images_of_run
from gan.callbacks.sample_grids import saved_grids
from gan.config.bounds import require
from gan.module import GAN
from gan.trainer_types import Trainer

log = logging.getLogger("gan")


class LiveLines(Live):
    """Lines at the bottom of a terminal, or in a notebook. What is logged or printed meanwhile appears above them."""

    def __init__(self) -> None:
        super().__init__(console=Console(), auto_refresh=False)
        self._streams: list[tuple[logging.StreamHandler, TextIO]] = []

    @staticmethod
    def possible() -> bool:
        """Whether the output is a terminal that can move its cursor, or a notebook."""
        console = Console()
        return console.is_jupyter or (sys.stdout.isatty() and console.is_terminal and not console.is_dumb_terminal)

    def start(self, refresh: bool = False) -> None:
        handlers = [each for each in logging.getLogger().handlers if isinstance(each, logging.StreamHandler)]
        self._streams = [(each, each.stream) for each in handlers if each.stream in (sys.stdout, sys.stderr)]
        super().start(refresh)
        for handler, _ in self._streams:
            handler.setStream(sys.stdout)  # rich's, which writes above the lines

    def stop(self) -> None:
        super().stop()
        for handler, stream in self._streams:
            handler.setStream(stream)


class ProgressBar(LightningProgressBar):
    """A bar over the images of the whole run with the time left, the last measures and the newest grid of samples.

    Where the output is neither a terminal nor a notebook, a line is logged after each epoch instead. With a bar these
    lines are in `run.log` only. With a refresh rate of 0 there are neither.
    """

    def __init__(self, refresh_rate: int = 20) -> None:
        super().__init__()
        require("callbacks.progress_bar.refresh_rate", refresh_rate)
        self.refresh_rate = refresh_rate
        self._lines: LiveLines | None = None
        self._measures: dict[str, float] = {}

    def disable(self) -> None:
        self.refresh_rate = 0

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
        self._started, self._images_before = time.perf_counter(), pl_module.images_seen
        self._total, self._epoch = math.inf, 0
        if self.refresh_rate and LiveLines.possible():
            self._lines = LiveLines()
            self._lines.start()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: GAN) -> None:
        self._total, self._shown_at = images_of_run(trainer, pl_module), 0
        self._epoch = trainer.current_epoch + 1
        self._show(trainer, pl_module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: Any, batch_idx: int) -> None:
        done = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        if done - self._shown_at >= self.refresh_rate:
            self._shown_at = done
            self._show(trainer, pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: GAN) -> None:
        self._show(trainer, pl_module, "validation")

    def on_validation_end(self, trainer: Trainer, pl_module: GAN) -> None:
        if not trainer.sanity_checking:
            measured = trainer.callback_metrics.items()
            self._measures = {name: float(value) for name, value in measured if name.startswith("val/")}
            self._show(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: GAN) -> None:
        self._show(trainer, pl_module)
        if self.refresh_rate and trainer.is_global_zero:
            values = {name: value for name, value in self.get_metrics(trainer, pl_module).items() if name != "v_num"}
            shown = "".join(f", {name} {value:,.4g}" for name, value in values.items() if isinstance(value, float))
            self._log(f"epoch {trainer.current_epoch + 1:<5} {pl_module.images_seen:,} images{shown}")

    def on_train_end(self, trainer: Trainer, pl_module: GAN) -> None:
        self._show(trainer, pl_module)
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: GAN, exception: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        if self._lines is not None:
            self._lines.stop()
            self._lines = None

    def _log(self, line: str) -> None:
        """Logs a line; with a bar on the screen, to files only."""
        if self._lines is None:
            log.info("%s", line)
            return
        record = log.makeRecord(log.name, logging.INFO, __file__, 0, line, (), None)
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.FileHandler):
                handler.handle(record)

    def _show(self, trainer: Trainer, pl_module: GAN, doing: str = "") -> None:
        if self._lines is None:
            return
        fraction, seconds = self._position(trainer, pl_module.images_seen)
        of = f" of {self._total:,.0f}" if self._total < math.inf else ""
        left = f"{timedelta(seconds=round(seconds))} left" if seconds < math.inf else ""
        row = Table.grid(padding=(0, 1), expand=True)
        for ratio in (None, 1, None, None, None):
            row.add_column(ratio=ratio, no_wrap=True)
        row.add_row(
            doing or f"epoch {self._epoch}",
            Bar(total=None if fraction is None else 1.0, completed=fraction or 0.0),
            "" if fraction is None else f"{fraction:.0%}",
            f"{pl_module.images_seen:,}{of} images",
            left,
        )
        rate = trainer.progress_bar_metrics.get("train/images_per_second")
        values = {**self._measures, **({} if rate is None else {"train/images_per_second": float(rate)})}
        measures = "  ".join(f"{name} {value:,.4g}" for name, value in values.items())
        grids = saved_grids(Path(trainer.default_root_dir))
        newest = os.path.relpath(grids[-1][0]) if grids else ""
        newest = str(grids[-1][0]) if newest.startswith("..") else newest  # not below the working folder
        self._lines.update(Group(row, Text(measures), Text(newest, overflow="fold", no_wrap=False)), refresh=True)

    def _position(self, trainer: Trainer, seen: int) -> tuple[float | None, float]:
        """The share of the run that is done, None where its length is not known, and the seconds that are left."""
        done, elapsed = seen - self._images_before, time.perf_counter() - self._started
        share = seen / self._total if self._total < math.inf else None
        left = elapsed / done * (self._total - seen) if done else math.inf
        for timer in trainer.callbacks:
            if isinstance(timer, Timer) and (remaining := timer.time_remaining()) is not None:
                share = max(share or 0.0, timer.time_elapsed() / (timer.time_elapsed() + remaining))
                left = min(left, remaining)
        return share if share is None else min(1.0, share), max(0.0, left)
