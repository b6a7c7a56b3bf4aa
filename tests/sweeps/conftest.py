"""Sweeps of jobs that take a moment, under the name s."""

import os
import signal
import subprocess

import pytest
from tiny_runs import SWEPT, WITH_EXTENSION


@pytest.fixture
def sweep(gan, tmp_path):
    """Runs `gan train --multirun` under the name s: its exit code, and all that it printed."""

    def command(*arguments):
        code, out, err = gan("train", "--multirun", *SWEPT, "sweep_name=s", *arguments)
        return code, out + err

    return command


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "outputs" / "multirun" / "s"


@pytest.fixture
def killed(tmp_path, python):
    """Runs such a sweep in a process that kills itself."""

    def command(*arguments):
        line = [python, "-m", "gan", "train", "--multirun", *SWEPT, "sweep_name=s", *arguments]
        environment = {**os.environ, "PYTHONPATH": WITH_EXTENSION}
        finished = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
        assert finished.returncode == -signal.SIGKILL, finished.stderr

    return command
