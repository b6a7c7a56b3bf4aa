"""Images per second of training."""

import time
from typing import Any

from lightning import Callback, Trainer

from gan.module import GAN


class Throughput(Callback):
    """Logs `train/images_per_second` of all processes together.

    A value covers the time since the last logged one, or since the start of the epoch: validation is not counted.
    """

    def on_train_epoch_start(self, trainer: Trainer, pl_module: GAN) -> None:
        self._restart(pl_module)

    def _restart(self, pl_module: GAN) -> None:
        self._time, self._images = time.perf_counter(), pl_module.images_seen

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: Any, batch_idx: int) -> None:
        if pl_module.log_due:
            seconds = time.perf_counter() - self._time
            pl_module.log("train/images_per_second", (pl_module.images_seen - self._images) / seconds, prog_bar=True)
            self._restart(pl_module)
