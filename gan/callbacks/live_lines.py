"""Lines at the bottom of a terminal, or in a notebook, that are rewritten during a run."""

import logging
import sys
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live


class LiveLines:
    """What is logged or printed in between appears above these lines.

    Colours are rich's: none with NO_COLOR in the environment.
    """

    def __init__(self) -> None:
        self._live = Live(console=Console(), auto_refresh=False)
        self._streams: list[tuple[logging.StreamHandler, TextIO]] = []

    @staticmethod
    def possible() -> bool:
        """Whether the output is a terminal that can move its cursor, or a notebook."""
        console = Console()
        return console.is_jupyter or (sys.stdout.isatty() and console.is_terminal and not console.is_dumb_terminal)

    def start(self) -> None:
        before = (sys.stdout, sys.stderr)
        self._live.start()
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream in before:
                self._streams.append((handler, handler.stream))
                handler.setStream(sys.stdout)  # rich's, which writes above the lines

    def show(self, *lines: RenderableType) -> None:
        self._live.update(Group(*lines), refresh=True)

    def stop(self) -> None:
        """Leaves the last lines as they are."""
        self._live.stop()
        for handler, stream in self._streams:
            handler.setStream(stream)
        self._streams.clear()
