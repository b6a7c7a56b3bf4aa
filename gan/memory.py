"""How much memory this process may still take."""

from contextlib import suppress
from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")
CONTAINER = (  # folder, limit and use in version 2 of cgroups, then in version 1
    ("", "memory.max", "memory.current"),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
)


def memory_left() -> int:
    """Bytes: those that the machine has available, or fewer in a container with a limit."""
    left = [psutil.virtual_memory().available]
    for folder, limit, used in CONTAINER:
        with suppress(OSError, ValueError):  # not this version; "max", no limit
            bound, taken = (int((CGROUP / folder / name).read_text(encoding="ascii")) for name in (limit, used))
            left.append(bound - taken + _idle_files(CGROUP / folder / "memory.stat"))
    return max(0, min(left))


def _idle_files(stat: Path) -> int:
    """Bytes of the files that the kernel keeps in memory and drops when memory is needed; they count as used."""
    figures = dict(line.split() for line in stat.read_text(encoding="ascii").splitlines())
    return int(figures.get("inactive_file", 0))
