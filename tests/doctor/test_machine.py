"""What the machine has."""

import shutil

import pytest
import torch

from gan.doctor import machine

GIB = 2**30


@pytest.mark.parametrize(("left", "helps"), [(GIB, False), (GIB // 2, True)])
def test_little_memory_or_disk_is_told_with_what_takes_it(monkeypatch, left, helps):
    monkeypatch.setattr(machine, "memory_left", lambda: left)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(4 * GIB, 4 * GIB - left, left))
    memory, disk = machine.memory(), machine.disk()
    assert memory.text == f"{left / GIB} GiB left"
    assert disk.text.startswith(f"{left / GIB} GiB left in /")
    assert (memory.command or "").startswith("ps ") == (disk.command or "").startswith("du ") == helps


@pytest.mark.usefixtures("no_programs")
def test_programs_that_are_missing_have_the_command_that_installs_them():
    assert machine.compiler().command.endswith("apt-get install g++")
    assert machine.chromium().command.endswith("apt-get install chromium chromium-driver")


def test_the_compiler_is_the_one_that_torch_takes(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if name == "clang++" else None)
    monkeypatch.setenv("CXX", "clang++")
    assert machine.compiler() == ("/usr/bin/clang++, for compile=true", None)


def test_a_card_that_torch_does_not_find_is_told(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/nvidia-smi" if name == "nvidia-smi" else None)
    text, command = machine.devices()
    assert text.endswith("; torch does not find the NVIDIA card")
    assert command == "nvidia-smi"
