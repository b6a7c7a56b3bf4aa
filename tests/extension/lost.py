"""A callback that ends one process of a distributed run as the kernel does when memory is short."""

import os
import signal

from lightning import Callback


class Lost(Callback):
    def __init__(self, rank):
        self.rank = rank

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_rank == self.rank:
            os.kill(os.getpid(), signal.SIGKILL)
