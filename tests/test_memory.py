"""The memory that a process may still take, on a machine and in containers."""

import psutil
import pytest

from gan import memory

GIB = 2**30


@pytest.fixture
def cgroup(monkeypatch, tmp_path):
    """A function that writes a container's files, on a machine with 16 GiB available."""
    machine = psutil.virtual_memory()._replace(available=16 * GIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: machine)
    monkeypatch.setattr(memory, "CGROUP", tmp_path)

    def write(folder, **files):
        (tmp_path / folder).mkdir(exist_ok=True)
        for name, content in files.items():
            (tmp_path / folder / name.replace("__", ".")).write_text(f"{content}\n")

    return write


def test_without_a_limit_it_is_that_of_the_machine(cgroup):
    assert memory.memory_left() == 16 * GIB
    cgroup("", memory__max="max", memory__current=GIB, memory__stat="inactive_file 0")
    assert memory.memory_left() == 16 * GIB


@pytest.mark.parametrize(
    ("folder", "limit", "used"),
    [("", "memory__max", "memory__current"), ("memory", "memory__limit_in_bytes", "memory__usage_in_bytes")],
)
def test_a_container_has_what_its_limit_leaves(cgroup, folder, limit, used):
    stat = f"anon {GIB}\ninactive_file {GIB // 2}\nactive_file 9"
    for bound, left in ((3 * GIB, 3 * GIB // 2), (2**63, 16 * GIB), (GIB, 0)):
        cgroup(folder, **{limit: bound, used: 2 * GIB}, memory__stat=stat)
        assert memory.memory_left() == left
