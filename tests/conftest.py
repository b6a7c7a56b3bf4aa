"""The real configs, composed onto tiny data in a temporary folder."""

import os
import signal
import sys

import pytest

os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import torch
from tiny_runs import FAST, NARROW, TINY

from gan.cli import commands as cli
from gan.config import compose
from gan.train import train


pytest_plugins = ["tiny_module"]
torch.set_num_threads(1)  # tiny tensors are slower on several


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
