"""Standard output that may end before the program: `| head`, a closed terminal, a full disk, or none at all."""

import errno
import io
import logging
import os
import stat
import sys
from contextlib import suppress


class Output(io.TextIOWrapper):
    """Standard output that discards what nobody reads, or what has no room: work continues without a traceback.

    One line on standard error says that a file cannot be written.
    """

    lost = False  # whether something was not written that somebody could have read

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
            self.lost = True
            with suppress(OSError):  # standard error may be the same file
                print(f"gan: standard output cannot be written ({error.strerror})", file=sys.stderr)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def outlive_reader() -> None:
    """Makes standard output an `Output`, which also escapes characters that a terminal lacks.

    Standard streams that the caller has closed become empty ones.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            nothing = open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8")  # noqa: SIM115, it stays open
            setattr(sys, name, nothing)
    if type(sys.stdout) is io.TextIOWrapper:
        sys.stdout = Output(sys.stdout)


def require_written() -> None:
    """Ends the program with status 2 if standard output was lost: for commands whose result it is."""
    sys.stdout.flush()
    if isinstance(sys.stdout, Output) and sys.stdout.lost:
        raise SystemExit(2)


def output_handler() -> logging.Handler:
    """A handler that logs to standard output, whether or not somebody reads it."""
    outlive_reader()
    return logging.StreamHandler(sys.stdout)
