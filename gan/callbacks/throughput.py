"""Images per second of training, validation and other callbacks left out."""

import time
from typing import Any

from lightning import Callback, Trainer

from gan.module import GAN


class Throughput(Callback):
    """Logs `images_seen` and, from one log to the next, `train/images_per_second` over all processes."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: GAN) -> None:
        self._restart(pl_module)

    def _restart(self, pl_module: GAN) -> None:
        self._time, self._images = time.perf_counter(), pl_module.images_seen

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: Any, batch_idx: int) -> None:
        pl_module.log("images_seen", float(pl_module.images_seen))
        if (batch_idx + 1) % trainer.log_every_n_steps == 0 or trainer.is_last_batch:
            seconds = time.perf_counter() - self._time
            pl_module.log("train/images_per_second", (pl_module.images_seen - self._images) / seconds, prog_bar=True)
            self._restart(pl_module)
