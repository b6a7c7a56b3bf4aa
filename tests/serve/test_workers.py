"""The number of workers that a machine can take."""

import pytest

from gan.config import compose
from gan.serve import workers
from gan.serve.settings import read_settings

GIB = 2**30


@pytest.mark.parametrize(
    ("cores", "threads", "free", "limit", "expected"),
    [
        (4, 1, 16 * GIB, "max", 4),
        (4, 2, 16 * GIB, "max", 2),
        (4, 1, 2 * GIB, "max", 2),
        (4, 1, 16 * GIB, str(3 * GIB), 3),
        (2, 4, 16 * GIB, "max", 1),
        (4, 1, GIB // 4, "max", 1),
        (3, 1, None, None, 3),
    ],
)
def test_workers_fit_the_cores_and_the_memory(tmp_path, monkeypatch, cores, threads, free, limit, expected):
    meminfo, limits = tmp_path / "meminfo", tmp_path / "memory.max"
    if free is not None:
        meminfo.write_text(f"MemTotal:  99 kB\nMemAvailable:   {free // 1024} kB\n")
        limits.write_text(f"{limit}\n")
    monkeypatch.setattr(workers, "MEMINFO", meminfo)
    monkeypatch.setattr(workers, "CONTAINER_LIMITS", (limits,))
    monkeypatch.setattr(workers, "cpu_count", lambda: cores)
    assert read_settings(compose("serve", ["workers=auto", f"threads={threads}"])).workers == expected
