"""A callback that stands in for a measure: what the job n of a sweep logs at each validation is n + 1."""

import os
import signal
from pathlib import Path

from lightning import Callback


class Levels(Callback):
    """Each job is worse than the one before. One of them may be killed, once, at its second validation."""

    def __init__(self, run, notes=None, killed=None):
        self.job, self.notes, self.killed = int(Path(run).name), notes and Path(notes), killed
        self.validations = 0

    def on_validation_epoch_end(self, trainer, pl_module):
        pl_module.log("val/level", 1.0 + self.job)
        self.validations += 1
        if self.job == self.killed and self.validations == 2 and not self.notes.exists():
            self.notes.touch()
            os.kill(os.getpid(), signal.SIGKILL)
