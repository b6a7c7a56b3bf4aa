"""The real configs, composed onto tiny data in a temporary folder."""

import os
import signal
import sys
from pathlib import Path

import pytest
from filelock import FileLock

os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny tensors are slower on several, here and in processes of tests

import torch
from tiny_runs import FAST, NARROW, RUNS, TINY

from gan.cli import commands as cli
from gan.config import compose
from gan.train import train

pytest_plugins = ["tiny_module"]
torch.set_num_threads(1)
SLOW = ("process", "browser", "slow")  # the marks that `make test-fast` leaves out


def pytest_collection_modifyitems(items):
    """The longest tests come first, so that all workers end together; those for CUDA are skipped without it."""
    for item in items:
        if item.get_closest_marker("cuda") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
    items.sort(key=lambda item: next((rank for rank, name in enumerate(SLOW) if item.get_closest_marker(name)), 3))


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """A function that returns a folder by its name; the first worker of the session that asks for it fills it."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # that of all workers

    def folder(name, fill):
        path, done = root / "shared" / name, root / "shared" / f"{name}.done"
        path.parent.mkdir(exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not done.exists():
                fill(path)
                done.touch()
        return path

    return folder


@pytest.fixture(scope="session")
def trained(shared):
    """A function from a name of RUNS to the folder of such a run, which tests read and leave as it is."""

    def fill(folder):
        train(compose("train", [*TINY, *NARROW, *FAST, f"output_dir='{folder}'", *RUNS[folder.name]]))

    def run(name) -> Path:
        return shared(name, fill)

    return run


@pytest.fixture(scope="session", autouse=True)
def quiet_wandb(tmp_path_factory):
    """W&B says nothing, and keeps nothing in the home folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_SILENT", "true")
        for name in ("DATA", "CACHE", "CONFIG"):
            patch.setenv(f"WANDB_{name}_DIR", str(tmp_path_factory.mktemp("wandb")))
        yield


@pytest.fixture
def tiny(tmp_path):
    """A function from overrides to the config of a run of seconds, in a folder of its own."""

    def composed(*overrides, folder="run", narrow=True, config_dirs=()):
        fixed = [*TINY, *(NARROW if narrow else ()), f"output_dir='{tmp_path / folder}'"]
        changed = {text.lstrip("+~").partition("=")[0] for text in overrides}
        kept = [text for text in fixed if text.lstrip("+~").partition("=")[0] not in changed]
        return compose("train", [*kept, *overrides], config_dirs)

    return composed


@pytest.fixture
def run(tiny):
    """Trains such a config, without pictures."""

    def trained(*overrides, **options):
        return train(tiny(*FAST, *overrides, **options))

    return trained


@pytest.fixture
def gan(monkeypatch, tmp_path, capsys):
    """A function that runs `gan ARGUMENTS` in an empty folder: its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # remembered, so that what the command sets is taken back

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["gan", *arguments])
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        try:
            code = cli.main()
        except SystemExit as ended:
            code = ended.code
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # Lightning ignores it after an interrupt
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command
