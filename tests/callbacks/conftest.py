"""Things done at a batch of a run, and a terminal."""

import io
import re
import sys

import pytest
from lightning import Callback


class At(Callback):
    """Does something at the end of a batch of the run."""

    def __init__(self, batch, action):
        self.batch, self.action = batch, action

    def on_train_batch_end(self, trainer, *_):
        if trainer.fit_loop.total_batch_idx == self.batch:
            self.action()


@pytest.fixture
def at(monkeypatch):
    """A function that has something done at a batch of each run from then on, before the checkpoints are written."""
    from gan.train import command

    built = command._built

    def plan(batch, action):
        def with_action(cfg, group, kind):
            return [*built(cfg, group, kind), *([At(batch, action)] if group == "callbacks" else [])]

        monkeypatch.setattr(command, "_built", with_action)

    return plan


class Terminal(io.StringIO):
    def isatty(self):
        return True

    def plain(self):
        """What was written to it, without colours."""
        return re.sub(r"\x1b\[[\d;]*m", "", self.getvalue())

    def last_frame(self):
        """The lines that are left on the screen."""
        return self.plain().rpartition("\x1b[2K")[2].splitlines()


@pytest.fixture
def terminal(monkeypatch):
    """A function that makes the output a terminal of 100 columns; pytest sets its own when a test begins."""

    def start():
        monkeypatch.setattr(sys, "stdout", Terminal())
        return sys.stdout

    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    return start
