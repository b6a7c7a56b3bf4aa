"""Standard output whose reader may leave before the end, as with `| head`, or a terminal that is closed."""

import errno
import io
import logging
import os
import stat
import sys


class Output(io.TextIOWrapper):
    """Standard output that discards what nobody reads any more: work continues, and no traceback is printed."""

    def __init__(self, old: io.TextIOWrapper) -> None:
        buffering = old.line_buffering, old.write_through
        super().__init__(old.buffer, old.encoding, "backslashreplace", None, *buffering)
        self._old = old  # when it is deleted, it closes the buffer of both

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._discard(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._discard(error)

    def _discard(self, error: OSError) -> None:
        is_device = stat.S_ISCHR(os.fstat(self.fileno()).st_mode)  # a terminal; for a file EIO is a broken disk
        if not (isinstance(error, BrokenPipeError) or (is_device and error.errno == errno.EIO)):
            raise error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def outlive_reader() -> None:
    """Makes standard output an `Output`, which also escapes characters that a terminal lacks."""
    if type(sys.stdout) is io.TextIOWrapper:
        sys.stdout = Output(sys.stdout)


def output_handler() -> logging.Handler:
    """A handler that logs to standard output, whether or not somebody reads it."""
    outlive_reader()
    return logging.StreamHandler(sys.stdout)
