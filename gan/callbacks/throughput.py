"""Images per second of training, validation and other callbacks left out."""

import time
from typing import Any

from lightning import Callback, Trainer

from gan.module import GAN


class Throughput(Callback):
    """Logs `train/images_per_second`, from one log to the next, over all processes."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: GAN) -> None:
        self._restart(pl_module)

    def _restart(self, pl_module: GAN) -> None:
        self._time, self._images = time.perf_counter(), pl_module.images_seen

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: Any, batch_idx: int) -> None:
        if pl_module.log_due:
            seconds = time.perf_counter() - self._time
            pl_module.log("train/images_per_second", (pl_module.images_seen - self._images) / seconds, prog_bar=True)
            self._restart(pl_module)
