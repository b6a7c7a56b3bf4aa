"""A job of a sweep that notes when it has started, and that it was told to stop."""

import signal
import time
from pathlib import Path
from types import SimpleNamespace


class SavingJob:
    """Takes no time to import, as training would."""

    config = SimpleNamespace(trainer=SimpleNamespace(accelerator="cpu"))

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, overrides, number):
        signal.signal(signal.SIGTERM, self.save)
        (self.folder / "started").touch()
        time.sleep(60)

    def save(self, number, frame):
        (self.folder / "saved").touch()
        raise SystemExit(143)
