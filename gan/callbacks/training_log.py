"""What the steps found, as rows for the loggers, with the images per second."""

import logging
import time
from functools import partial
from typing import Any

import torch
from lightning import Callback

from gan.loggers import ImageAxis
from gan.module import GAN
from gan.step_plan import LoggedStep
from gan.trainer_types import Trainer

ALL_RIGHT, FAR_APART, ROWS = 0.995, 10.0, 20
ADVICE = "lower its learning rate, or give it noise (model.instance_noise), dropout or a gradient penalty"

log = logging.getLogger("gan")


class TrainingLog(Callback):
    """Logs the `train/` values of each `log_every_n_steps`-th batch, by the number of that batch.

    `train/images_per_second` counts from one log to the next, over all processes, and leaves out validation and other
    callbacks. A discriminator that has won is warned of. On a card a row is written once its values have come to the
    host, at the latest before anything newer is logged and at the end of the epoch.
    """

    def __init__(self) -> None:
        self._pending: list[LoggedStep] = []
        self._warned = False
        self._judged_all = 0  # logged batches without a mistake of the discriminator, one after another

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, ImageAxis):
                logger.pending_rows = partial(self.catch_up, trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: GAN) -> None:
        self._time, self._images = time.perf_counter(), pl_module.images_seen

    def on_validation_start(self, trainer: Trainer, pl_module: GAN) -> None:
        self.catch_up(trainer, pl_module)
        self._paused = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: GAN) -> None:
        if not trainer.sanity_checking:
            self._time += time.perf_counter() - self._paused

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GAN, outputs: dict[str, list[LoggedStep]], batch: Any, batch_idx: int
    ) -> None:
        self._pending += outputs["logged"]
        row = self.catch_up(trainer, pl_module, wait=trainer.is_last_batch or trainer.should_stop)
        for name, value in row.items():  # a tensor on the host stays there
            pl_module.log(name, torch.tensor(value), logger=False, prog_bar=name == "train/images_per_second")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: GAN) -> None:
        self.catch_up(trainer, pl_module)  # a validation may stop the run before the epoch's last batch

    def on_exception(self, trainer: Trainer, pl_module: GAN, exception: BaseException) -> None:
        self.catch_up(trainer, pl_module)

    def _watch_discriminator(self, module: GAN, row: dict[str, float]) -> None:
        """Warns once of a discriminator whose judgements are all right: the generator learns nothing from it."""
        if not getattr(module.objectives.loss, "has_threshold", True):
            return
        right = min(row["train/accuracy_real"], row["train/accuracy_fake"]) >= ALL_RIGHT
        won = right and row["train/logit_real"] - row["train/logit_fake"] > FAR_APART
        self._judged_all = self._judged_all + 1 if won else 0
        if self._judged_all == ROWS and not self._warned:
            self._warned = True
            log.warning("the discriminator has won: for %d logged batches it made no mistake; %s", ROWS, ADVICE)

    def catch_up(self, trainer: Trainer, pl_module: GAN, wait: bool = True) -> dict[str, float]:
        """Hands all rows to the loggers, or those that have come; returns the newest of each value."""
        found = []
        while self._pending and (wait or self._pending[0].ready()):
            step = self._pending.pop(0)
            found.append((step, step.values()))
        if not found:
            return {}
        now = time.perf_counter()
        rate = (step.images_seen - self._images) / (now - self._time)
        self._time, self._images = now, step.images_seen
        newest: dict[str, float] = {}  # a step of the discriminator alone has none of the generator's
        for step, values in found:
            row = {f"train/{name}": value for name, value in values.items()}
            self._watch_discriminator(pl_module, row)
            row |= {"images_seen": float(step.images_seen), "train/images_per_second": rate}
            newest |= row
            if step.is_row or trainer.should_stop:
                for logger in trainer.loggers:
                    logger.log_metrics({**row, "epoch": trainer.current_epoch}, step=step.batch)
                    logger.save()
        return newest
