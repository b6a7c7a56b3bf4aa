"""The signals that tell a program to stop, and what it does then.

These are SIGTERM, SIGINT (Ctrl-C), SIGUSR1 (SLURM's warning before the time is up) and SIGHUP (a closed terminal).

A training run saves first: `callbacks/checkpoints.py` does that, and `train/command.py` ends the process with its exit
code. Other commands end at once, and clean up.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from gan.errors import Stopped

# submitit requeues a job on SIGUSR2. Its handler, which ends the process, is called once the run has saved.
NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
CODES: dict[int, int] = {signal.SIGINT: 130, signal.SIGHUP: 129}  # others: 143


class StopSignals:
    """Remembers the first of these signals, so that a run can save before it ends. A second Ctrl-C interrupts at once.

    Attributes:
        received: the number of the signal; 0 for none.
    """

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}

    def install(self) -> None:
        """Takes the place of the handlers there are; only the main thread may. Lightning puts them back at its end."""
        self.received = 0
        if threading.current_thread() is threading.main_thread():
            submitit = [signal.SIGUSR2] if callable(signal.getsignal(signal.SIGUSR2)) else []
            hangup = [] if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else [signal.SIGHUP]  # ignored by nohup
            for number in (*NUMBERS, *submitit, *hangup):
                self._before[number] = signal.signal(number, self._remember)

    def stop(self, number: int) -> None:
        """Ends the process as the signal asks, once everything is saved.

        Raises:
            Stopped: with the status of a process that this signal has ended; for SIGUSR1 that of SIGTERM.
        """
        handler = self._before.get(signal.SIGUSR2)
        if number == signal.SIGUSR2 and callable(handler):
            handler(number, None)
        raise Stopped(CODES.get(number, 143))

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT == self.received:
            signal.default_int_handler(number, frame)
        self.received = self.received or number


@contextmanager
def ended_by(*numbers: signal.Signals) -> Iterator[None]:
    """The first of these signals ends the block as an exception does, so that it cleans up; later ones are ignored.

    One that is ignored already, as SIGHUP by nohup, stays ignored. Only the main thread can take signals.

    Raises:
        Stopped: one of them has come.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    taken = [each for each in numbers if in_main_thread and signal.getsignal(each) != signal.SIG_IGN]

    def end(number: int, frame: FrameType | None) -> None:
        for each in taken:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(CODES.get(number, 143))

    before = {each: signal.signal(each, end) for each in taken}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
