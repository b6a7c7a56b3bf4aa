"""A terminal."""

import io
import re
import sys

import pytest


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
