"""The real configs, composed onto tiny data in a temporary folder.

What takes long to import is imported by the fixtures that need it: pytest-xdist's controller reads this file as well.
"""

import contextlib
import gc
import logging
import os
import shlex
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest
from filelock import FileLock

os.environ.setdefault("WANDB_MODE", "offline")
os.environ["OMP_NUM_THREADS"] = "1"  # tiny tensors are slower on several; torch reads it when it is imported

import speedups
import warm_python
from tiny_runs import FAST, NARROW, RUNS, TINY

speedups.apply()
SLOW = ("process", "browser", "slow")  # the marks that `make test-fast` leaves out


def pytest_configure():
    sys.executable = str(Path(sys.prefix, "bin", "python"))  # also in a worker that is a warm one
    gc.disable()  # until the tests are collected: imports leave little garbage, and searching them for it takes seconds


def pytest_collection_modifyitems(items):
    """The longest tests come first, so that all workers end together; those for CUDA are skipped without it."""
    import torch

    for item in items:
        if item.get_closest_marker("cuda") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="it tests what runs on a CUDA device alone, and torch finds none"))
    items.sort(key=lambda item: next((rank for rank, name in enumerate(SLOW) if item.get_closest_marker(name)), 3))


def pytest_collection_finish():
    gc.freeze()  # what was imported stays
    gc.enable()


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):  # a worker ends without a word
        gc.unfreeze()  # some libraries complain of what is left at the end


def pytest_xdist_setupnodes(config, specs):
    """The workers are warm Pythons that share the tests' imports, but where coverage counts the lines of an import."""
    import execnet

    folder = Path(tempfile.mkdtemp(prefix="python-"))
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))  # its server empties it as well
    os.environ["GAN_TEST_PYTHON"] = str(folder)  # of the workers
    if not config.getoption("cov_source", None) and warm_python.possible(folder):
        path, lifeline = warm_python.start(folder)
        config.add_cleanup(lifeline.close)
        with contextlib.suppress(RuntimeError):  # a test cannot be imported: each worker tells why
            path, lifeline = warm_python.start(folder / "workers", path, config.args)
            config.add_cleanup(lifeline.close)
        specs[:] = [execnet.XSpec(f"{spec}//python={shlex.quote(path)}") for spec in specs]


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """A function that returns a folder by its name; the first worker of the session that asks for it fills it."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root  # that of all workers

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
    from gan.config import compose
    from gan.train import train

    def fill(folder):
        train(compose("train", [*TINY, *NARROW, *FAST, f"output_dir='{folder}'", *RUNS[folder.name]]))

    def run(name) -> Path:
        return shared(name, fill)

    return run


@pytest.fixture
def begun(trained, tmp_path):
    """The folder of a run that is there already, as `run()` leaves it."""
    return Path(shutil.copytree(trained("unconditional"), tmp_path / "run"))


def pytest_xdist_auto_num_workers(config):
    """Four more than there are cores: many tests wait for processes."""
    from joblib import cpu_count

    return cpu_count() + 4


@pytest.fixture(scope="session")
def python(tmp_path_factory):
    """A Python for processes of `gan` that need no seconds for its imports; Python itself where that cannot be."""
    folder = Path(os.environ.get("GAN_TEST_PYTHON") or tmp_path_factory.mktemp("python"))
    if not warm_python.possible(folder):
        yield sys.executable
        return
    path, lifeline = warm_python.start(folder)
    yield path
    lifeline.close()


@pytest.fixture
def without_nohup():
    """A closed terminal is noticed, also where the tests themselves run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


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
    from gan.config import compose

    def composed(*overrides, folder="run", narrow=True, config_dirs=()):
        fixed = [*TINY, *(NARROW if narrow else ()), f"output_dir='{tmp_path / folder}'"]
        changed = {text.lstrip("+~").partition("=")[0] for text in overrides}
        kept = [text for text in fixed if text.lstrip("+~").partition("=")[0] not in changed]
        return compose("train", [*kept, *overrides], config_dirs)

    return composed


@pytest.fixture
def run(tiny):
    """Trains such a config, without pictures."""
    from gan.train import train

    def trained(*overrides, **options):
        return train(tiny(*FAST, *overrides, **options))

    return trained


@pytest.fixture
def at(monkeypatch):
    """A function that has something done at a batch of each run from then on, before the checkpoints are written."""
    from gan.callbacks.checkpoints import RunCheckpoints

    hook = RunCheckpoints.on_train_batch_end

    def plan(batch, action):
        def with_action(self, trainer, *rest):
            if trainer.fit_loop.total_batch_idx == batch:
                action()
            hook(self, trainer, *rest)

        monkeypatch.setattr(RunCheckpoints, "on_train_batch_end", with_action)

    return plan


@pytest.fixture
def no_pictures(monkeypatch):
    """Has `gan evaluate` draw nothing."""

    def draw_nothing(folder, *rest):
        folder.mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr("gan.evaluate.comparison.save_pictures", draw_nothing)


@pytest.fixture
def tiny_module():
    """The class: tiny_module(num_classes=10) is a conditional one."""
    from tiny_module import TinyModule

    return TinyModule


@pytest.fixture
def fit():
    """Trains a TinyModule in a folder and returns its trainer."""
    from tiny_module import fit

    return fit


@pytest.fixture
def logging_kept():
    """Commands set up logging for their whole process, which is that of the tests here."""
    loggers = [logging.getLogger(name) for name in (None, "gan", "gan.access", "uvicorn")]
    before = [([*each.handlers], each.level, each.propagate) for each in loggers]
    yield
    for each, (handlers, level, propagate) in zip(loggers, before, strict=True):
        each.handlers[:], each.propagate = handlers, propagate
        each.setLevel(level)


@pytest.fixture
def gan(monkeypatch, tmp_path, capfd, logging_kept):
    """A function that runs `gan ARGUMENTS` in an empty folder: its exit code, output and errors."""
    from gan.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # remembered, so that what the command sets is taken back

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["gan", *arguments])
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        try:
            code = main()
        except SystemExit as ended:
            code = ended.code
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # Lightning ignores it after an interrupt
        return code, *capfd.readouterr()

    return command
