"""A callback that notes the epochs that begin, and once, in the second, has its job told that its place is needed."""

import os
import signal
from pathlib import Path

from lightning import Callback


class Preempted(Callback):
    def __init__(self, notes):
        self.notes = Path(notes)

    def on_train_epoch_start(self, trainer, pl_module):
        before = self.notes.read_text().split() if self.notes.exists() else []
        self.notes.write_text(" ".join([*before, str(trainer.current_epoch)]))
        if before == ["0"]:
            os.kill(os.getpid(), signal.SIGUSR2)
