"""Standard output that nobody reads any more, as with `| head`."""

import atexit
import logging
import os
import select
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """Without a reader work goes on, and what only prints ends with status 2; nothing prints a traceback."""
    logging.raiseExceptions = False
    atexit.register(reader_has_left)  # before Python writes what it still holds
    try:
        yield
    except BrokenPipeError as error:
        if reader_has_left():
            raise SystemExit(2) from error
        raise


def reader_has_left() -> bool:
    """Whether that is so; what is still printed is then discarded."""
    output, poll = 1, select.poll()
    poll.register(output, 0)
    left = any(event & select.POLLERR for _, event in poll.poll(0))
    if left:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return left
