"""How many workers a machine can take: `workers=auto`."""

import math
from contextlib import suppress
from pathlib import Path

from joblib import cpu_count

WORKER_BYTES = 800 * 2**20  # a worker of the pretrained model has 650 MiB, most of it for torch
MEMINFO = Path("/proc/meminfo")
CONTAINER_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def fitting_workers(threads: int) -> int:
    """One worker for each `threads` cores of this process's quota, as far as the memory goes; at least 1."""
    return int(max(1, min(cpu_count() // threads, available_memory() // WORKER_BYTES)))


def available_memory() -> float:
    """Bytes that this machine has left, at most the container's limit; infinite where neither is known."""
    found = [math.inf]
    with suppress(OSError):
        words = MEMINFO.read_text(encoding="utf-8").split()
        found.append(int(words[words.index("MemAvailable:") + 1]) * 1024)
    for file in CONTAINER_LIMITS:
        with suppress(OSError, ValueError):  # not this version of cgroups; "max", no limit
            found.append(int(file.read_text(encoding="utf-8")))
    return min(found)
