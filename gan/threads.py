"""CPU threads of torch: how many there are, and how they wait for each other.

The threads of an operation wait for the slowest of them. libgomp, the OpenMP runtime of torch on Linux, lets them spin.
That is fastest on cores of their own. On a core that another process uses too, a thread then spins while the one it
waits for does not run, and training falls far below one thread's speed. There the threads must sleep. libgomp reads its
wait policy only once, but it spins just briefly while a process has more OpenMP threads than cores. So idle threads are
added for as long as others use the cores. An operation keeps its number of threads, and a result each of its bits.
"""

import logging
import os
import threading
import time
from pathlib import Path

import torch
from joblib import cpu_count

TASKS = Path("/proc/self/task")
CHUNK = 32768  # elements of an operation for each thread
SECONDS = 0.25  # between two looks
BUSY, QUIET = 0.1, 0.04  # seconds of waiting for a core in a second: above, below
QUIET_LOOKS = 12  # until threads spin again
MESSAGE = "threads     other processes share the cores: waiting threads now sleep, results stay the same"

log = logging.getLogger("gan")
_before: tuple[str | None, int] | None = None  # OMP_NUM_THREADS and torch's threads before a run set its own


def settle_threads(threads: int | None = None) -> None:
    """Sets how many threads an operation has, and has them sleep or spin by what else runs on their cores.

    Args:
        threads: None takes OMP_NUM_THREADS, else the cores that this process may use: torch starts one for each core of
            the machine, also in a container with a CPU quota.
    """
    global _before
    if threads is not None:
        _before = _before or (os.environ.get("OMP_NUM_THREADS"), torch.get_num_threads())
        os.environ["OMP_NUM_THREADS"] = str(threads)  # for the other processes of a run, and for Lightning
        torch.set_num_threads(threads)
    elif not os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(min(torch.get_num_threads(), cpu_count()))
    is_watched = any(isinstance(thread, Watch) for thread in threading.enumerate())
    if torch.get_num_threads() > 1 and TASKS.is_dir() and not is_watched:
        Watch().start()


def forget_threads() -> None:
    """Takes back the number that an earlier run of this process has set."""
    global _before
    if _before is not None:
        os.environ.pop("OMP_NUM_THREADS", None)
        if _before[0] is not None:
            os.environ["OMP_NUM_THREADS"] = _before[0]
        torch.set_num_threads(_before[1])
        _before = None


class Watch(threading.Thread):
    """Compares how long this process's threads wait for a core with the time that passes."""

    def __init__(self) -> None:
        super().__init__(name="cpu-watch", daemon=True)
        self._release: threading.Event | None = None  # while threads sleep
        self._quiet_looks = 0
        self._told = False

    def run(self) -> None:
        delays, looked = run_delays(), time.monotonic()
        while True:
            time.sleep(SECONDS)
            delays_now, now = run_delays(), time.monotonic()
            waited = sum(delays_now[task] - delays[task] for task in delays_now.keys() & delays.keys())
            self.look(waited / (now - looked))
            delays, looked = delays_now, now

    def look(self, share: float) -> None:
        """Decides by `share`: the seconds for which threads waited for a core, summed over threads, per second."""
        self._quiet_looks = self._quiet_looks + 1 if share < QUIET else 0
        if share > BUSY and self._release is None and torch.get_num_threads() > 1:
            self._release = add_idle_threads()
            if not self._told:
                log.info(MESSAGE)
                self._told = True
        elif self._quiet_looks >= QUIET_LOOKS and self._release is not None:
            self._release.set()
            self._release = None


def run_delays() -> dict[str, float]:
    """By thread of this process, the seconds in which it could run and had no core."""
    delays = {}
    for task in TASKS.iterdir():
        try:
            delays[task.name] = int((task / "schedstat").read_text(encoding="ascii").split()[1]) / 1e9
        except (OSError, ValueError, IndexError):  # the thread has ended, or this kernel does not count
            continue
    return delays


def add_idle_threads() -> threading.Event:
    """Adds OpenMP threads until there are more of them than cores; they end when the event returned is set."""
    release = threading.Event()
    size = torch.get_num_threads()

    def hold() -> None:
        torch.ones(CHUNK * size).add_(1)  # libgomp starts a team of threads, which lives as long as this thread
        release.wait()

    for _ in range(max(1, len(os.sched_getaffinity(0)) // size)):
        threading.Thread(target=hold, name="idle-openmp", daemon=True).start()
    return release
