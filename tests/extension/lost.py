"""A callback that sends one process of a run a signal, such as the SIGKILL of a kernel that is short of memory."""

import os
import signal

from lightning import Callback


class Lost(Callback):
    def __init__(self, rank, number=signal.SIGKILL, batch=0):
        self.rank, self.number, self.batch = rank, number, batch

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_rank == self.rank and trainer.fit_loop.total_batch_idx == self.batch:
            os.kill(os.getpid(), self.number)
