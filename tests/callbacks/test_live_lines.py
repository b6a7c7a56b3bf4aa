"""Lines at the bottom of a terminal, with what is logged above them."""

import logging
import re
import sys

import pytest
from rich.progress_bar import ProgressBar as Bar

from gan.callbacks.live_lines import LiveLines


@pytest.mark.parametrize("no_color", [False, True])
def test_colours_are_left_out_on_request(terminal, monkeypatch, no_color):
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    screen, lines = terminal(), LiveLines()
    assert LiveLines.possible()
    lines.start()
    lines.show(Bar(total=2, completed=1))
    lines.stop()
    assert bool(re.search(r"\x1b\[[\d;]*3\d[;m]", screen.getvalue())) != no_color


def test_what_is_logged_meanwhile_is_above_the_bar(terminal, monkeypatch):
    screen = terminal()
    handler = logging.StreamHandler(sys.stdout)
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    lines = LiveLines()
    lines.start()
    lines.show("the bar")
    logging.getLogger("gan").warning("a warning")
    lines.stop()
    assert screen.plain().index("a warning") < screen.plain().rindex("the bar")
    assert screen.last_frame()[0].strip() == "the bar"
    assert handler.stream is screen is sys.stdout
