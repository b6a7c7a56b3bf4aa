"""Standard output whose reader may leave before the end, as with `| head`."""

import io
import os
import sys


class Output(io.TextIOWrapper):
    """What nobody reads any more is discarded, so that work goes on and nothing prints a traceback."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except BrokenPipeError:
            self._discard()
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except BrokenPipeError:
            self._discard()

    def _discard(self) -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())


def outlive_reader() -> None:
    """Makes standard output an `Output`, which also escapes characters that a terminal lacks."""
    old = sys.stdout
    if type(old) is io.TextIOWrapper:
        encoding, by_line, at_once = old.encoding, old.line_buffering, old.write_through
        new = Output(old.detach(), encoding, "backslashreplace", line_buffering=by_line, write_through=at_once)
        if old is sys.__stdout__:  # whose width is the terminal's
            sys.__stdout__ = new  # type: ignore[misc]
        sys.stdout = new
