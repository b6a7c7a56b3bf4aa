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
    callbacks. A row on a card is written once it has come to the host, at the latest when the epoch ends.
    """

    def __init__(self) -> None:
        self._pending: list[tuple[LoggedStep, float]] = []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: GAN) -> None:
        self._restart(pl_module)

    def _restart(self, pl_module: GAN) -> None:
        self._time, self._images = time.perf_counter(), pl_module.images_seen

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GAN, outputs: dict[str, list[LoggedStep]], batch: Any, batch_idx: int
    ) -> None:
        if logged := outputs["logged"]:
            rate = (pl_module.images_seen - self._images) / (time.perf_counter() - self._time)
            self._pending += [(step, rate) for step in logged]
            self._restart(pl_module)
        self._write_pending(trainer, pl_module, wait=trainer.is_last_batch or trainer.should_stop)

    def on_exception(self, trainer: Trainer, pl_module: GAN, exception: BaseException) -> None:
        for step, rate in self._pending:
            self._write(trainer, step, rate)

    def _write_pending(self, trainer: Trainer, pl_module: GAN, wait: bool) -> None:
        while self._pending and (wait or self._pending[0][0].ready()):
            step, rate = self._pending.pop(0)
            on_host = {name: torch.tensor(value) for name, value in self._write(trainer, step, rate).items()}
            pl_module.log(
                "train/images_per_second", on_host.pop("train/images_per_second"), logger=False, prog_bar=True
            )
            pl_module.log_dict(on_host, logger=False)

    def _write(self, trainer: Trainer, step: LoggedStep, rate: float) -> dict[str, float]:
        row = {f"train/{name}": value for name, value in step.values().items()}
        row |= {"images_seen": float(step.images_seen), "train/images_per_second": rate}
        if (step.batch + 1) % trainer.log_every_n_steps == 0 or trainer.should_stop:
            for logger in trainer.loggers:
                logger.log_metrics({**row, "epoch": trainer.current_epoch}, step=step.batch)
                logger.save()
        return row
