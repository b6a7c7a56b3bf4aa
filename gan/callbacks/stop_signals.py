"""The signals that tell a run to stop.

These are SIGTERM, SIGINT (Ctrl-C), SIGUSR1, the warning that SLURM sends, and SIGHUP of a terminal that is closed.

`callbacks/checkpoints.py` saves after one, and `train/command.py` ends the process with its exit code.
"""

import signal
import threading
from collections.abc import Callable
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
