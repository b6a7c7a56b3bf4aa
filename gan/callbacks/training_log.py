"""What the steps found, as rows for the loggers, with the images per second."""

import time
from typing import Any

import torch
from lightning import Callback, Trainer

from gan.module import GAN
from gan.steps import LoggedStep


class TrainingLog(Callback):
    """Logs the `train/` values of each `log_every_n_steps`-th batch, by the number of that batch.

    `train/images_per_second` counts from one log to the next, over all processes, and leaves out validation and other
    callbacks. On a card a row is written once its values have come to the host, at the latest when the epoch ends.
    """

    def __init__(self) -> None:
        self._pending: list[LoggedStep] = []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: GAN) -> None:
        self._time, self._images = time.perf_counter(), pl_module.images_seen

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GAN, outputs: dict[str, list[LoggedStep]], batch: Any, batch_idx: int
    ) -> None:
        self._pending += outputs["logged"]
        row = self._write(trainer, wait=trainer.is_last_batch or trainer.should_stop)
        for name, value in row.items():  # a tensor on the host stays there
            pl_module.log(name, torch.tensor(value), logger=False, prog_bar=name == "train/images_per_second")

    def on_exception(self, trainer: Trainer, pl_module: GAN, exception: BaseException) -> None:
        self._write(trainer, wait=True)

    def _write(self, trainer: Trainer, wait: bool) -> dict[str, float]:
        """Hands the rows that are there to the loggers; the last of them."""
        found = []
        while self._pending and (wait or self._pending[0].ready()):
            step = self._pending.pop(0)
            found.append((step, step.values()))
        if not found:
            return {}
        now = time.perf_counter()
        rate = (step.images_seen - self._images) / (now - self._time)
        self._time, self._images = now, step.images_seen
        for step, values in found:
            row = {f"train/{name}": value for name, value in values.items()}
            row |= {"images_seen": float(step.images_seen), "train/images_per_second": rate}
            if (step.batch + 1) % trainer.log_every_n_steps == 0 or trainer.should_stop:
                for logger in trainer.loggers:
                    logger.log_metrics({**row, "epoch": trainer.current_epoch}, step=step.batch)
                    logger.save()
        return row
