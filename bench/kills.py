"""Kills training runs at random moments, resumes them, and compares what they leave with an undisturbed run.

python bench/kills.py --kills 40

Most kills are SIGKILL, every fifth is SIGTERM. Each row is one kill: what the run was doing, and the images that its
last checkpoint held. Then come the differences from the undisturbed run; 0 is right.
"""

import argparse
import csv
import logging
import mmap
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ |= {"WANDB_MODE": "offline", "WANDB_SILENT": "true"}

import torch

from gan.callbacks import checkpoints, plots, validation
from gan.cli import main as gan
from gan.module import GAN
from gan.optional_files import read_json

RUN = (
    *("model=dcgan", "data=digits", "data.batch_size=20", "data.val_size=200", "hardware=cpu"),
    *("trainer.max_epochs=3", "trainer.limit_train_batches=30", "+trainer.val_check_interval=12"),
    *("trainer.log_every_n_steps=2", "callbacks.checkpoints.every_n_minutes=0.003", "callbacks.progress_bar=null"),
    *("callbacks.checkpoints.every_n_epochs=1", "callbacks.samples.every_n_batches=10", "model.latent_dim=8"),
    *("model.generator.channels=[16,8,8]", "model.discriminator.channels=[8,8,8]", "model.instance_noise=0.1"),
    "model.generator_schedule={_target_: gan.schedules.LinearDecay, total_steps: null}",
)
VARIANTS = {
    "csv": ("logger=csv",),
    "tensorboard": ("logger=[csv,tensorboard]",),
    "wandb": ("logger=[csv,wandb]",),
    "conditional": ("model.num_classes=10", "data.stratified_batches=true", "model.ema_half_life=200"),
    "two processes": ("hardware=cpu_ddp", "trainer.devices=2"),
}
PHASES: dict[str, tuple[object, str]] = {
    "a step": (GAN, "training_step"),
    "validation": (validation.ValidationMeasures, "on_validation_epoch_end"),
    "a validation batch": (validation.ValidationMeasures, "on_validation_batch_end"),
    "writing last.ckpt": (checkpoints.RunCheckpoints, "_save"),
    "writing copies of it": (checkpoints.RunCheckpoints, "_finish_writing"),
    "plots": (plots.TrainingPlots, "on_train_end"),
}
PARTS = (
    "state_dict",
    "optimizer_states",
    "lr_schedulers",
    "epoch",
    "global_step",
    "images_seen",
    "callbacks",
    "rewinds",
)
LIMIT = 120  # seconds after which a run is taken for one that hangs


class Run:
    """A `gan train` in a process of its own, forked from this one, where everything is imported already."""

    def __init__(self, folder: Path, overrides: tuple[str, ...]) -> None:
        self.doing = mmap.mmap(-1, 64)
        arguments = ["gan", "train", *RUN, *overrides, "ckpt_path=auto", f"hydra.run.dir={folder}"]
        self.log = folder.with_suffix(".log")
        self.log.parent.mkdir(exist_ok=True)
        self.process: subprocess.Popen | None = None
        if "trainer.devices=2" in overrides:  # Lightning starts the second process by the command line
            command = [sys.executable, "-m", "gan", *arguments[1:]]
            with self.log.open("wb") as log:
                self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            self.pid = self.process.pid
            self._say("two processes")
            return
        self._say("start")
        self.pid = os.fork()
        if self.pid == 0:
            self._train(arguments)

    def _train(self, arguments: list[str]) -> None:
        code = 1
        try:
            os.dup2(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
            os.dup2(1, 2)
            for phase, (owner, name) in PHASES.items():
                setattr(owner, name, self._watched(getattr(owner, name), phase))
            sys.argv = arguments
            code = gan()
        except SystemExit as ended:
            code = ended.code or 0
        finally:
            logging.shutdown()
            os._exit(code if isinstance(code, int) else 1)

    def _watched(self, function: Callable, phase: str) -> Callable:
        def call(*arguments, **options):  # noqa: ANN202
            before = self._say(phase)
            try:
                return function(*arguments, **options)
            finally:
                self._say(before)

        return call

    def _say(self, phase: str) -> str:
        before = self.phase
        self.doing[:] = phase.encode().ljust(64)
        return before

    @property
    def phase(self) -> str:
        return self.doing[:].decode().strip(" \0") or "between two"

    def ended(self) -> int | None:
        """The status of a process that has ended, negative for a signal; None while it runs."""
        if self.process is not None:
            return self.process.poll()
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None

    def wait(self, seconds: float) -> int | None:
        until = time.monotonic() + seconds
        while (code := self.ended()) is None and time.monotonic() < until:
            time.sleep(0.005)
        return code

    def require(self, code: int | None, what: str) -> None:
        """Ends the benchmark with what the run printed, unless its status is 0."""
        if code != 0:
            raise SystemExit(f"{self.log.read_text(encoding='utf-8')[-2000:]}\n{what} ended with {code}")

    def kill(self, number: int) -> int:
        """Sends a signal (SIGKILL to all processes of the run), and returns the status after it has ended."""
        if self.process is not None and number == signal.SIGKILL:
            os.killpg(self.pid, number)
        else:
            os.kill(self.pid, number)
        code = self.wait(LIMIT)
        if code is None:
            os.kill(self.pid, signal.SIGKILL)
            raise RuntimeError(f"hangs after {signal.Signals(number).name} during {self.phase}")
        return code


def disturbed(folder: Path, overrides: tuple[str, ...], kills: int, seconds: float, chance: random.Random) -> int:
    """Trains in a folder, with so many kills; returns how many there were. The last start is left alone."""
    done = 0
    while done < kills:
        run = Run(folder, overrides)
        code = run.wait(chance.uniform(0, seconds))
        if code is not None:
            run.require(code, "a start that was not killed")
            print("   ended before the next kill", flush=True)
            return done
        number = signal.SIGTERM if done % 5 == 4 else signal.SIGKILL
        phase, code, done = run.phase, run.kill(number), done + 1
        if code == 0:
            print("   ended while the signal came", flush=True)
            return done - 1
        held = read_json(folder / "checkpoints" / "last.json").get("images_seen", 0)
        print(f"   {signal.Signals(number).name} during {phase}: status {code}, {held:,} images kept", flush=True)
    run = Run(folder, overrides)
    run.require(run.wait(LIMIT), "the last start")
    return done


def differences(expected: Path, found: Path) -> list[str]:
    """What differs between two runs' folders."""
    first, second = (torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in (expected, found))
    wrong = [place for part in PARTS for place in _unequal(first.get(part), second.get(part), part)]
    rows, others = (_rows(run / "metrics.csv") for run in (expected, found))
    wrong += [f"metrics.csv: row {n}" for n, pair in enumerate(zip(rows, others, strict=False)) if pair[0] != pair[1]]
    wrong += [] if len(rows) == len(others) else [f"metrics.csv: {len(others)} rows, not {len(rows)}"]
    files, others = (_files(run) for run in (expected, found))
    return wrong + [f"file {name}" for name in sorted(files ^ others)]


def _unequal(first: object, second: object, place: str) -> list[str]:
    if isinstance(first, dict) and isinstance(second, dict):
        timed = {"minutes", "directory", "metrics"}  # metrics has the images per second
        return [
            wrong
            for key in sorted({*first, *second} - timed, key=str)
            for wrong in _unequal(first.get(key), second.get(key), f"{place}.{key}")
        ]
    if isinstance(first, list | tuple) and isinstance(second, list | tuple) and len(first) == len(second):
        pairs = enumerate(zip(first, second, strict=True))
        return [wrong for number, pair in pairs for wrong in _unequal(*pair, f"{place}[{number}]")]
    equal = torch.equal(first, second) if isinstance(first, torch.Tensor) else first == second
    return [] if equal else [place]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return [
            {key: value for key, value in row.items() if key != "train/images_per_second"}
            for row in csv.DictReader(file)
        ]


def _files(run: Path) -> set[str]:
    names = {path.relative_to(run) for path in run.rglob("*") if path.is_file()}
    return {str(name) for name in names if name.parts[0] not in ("wandb", "tensorboard")}  # each start adds files there


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=40, help="in all")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--settings", nargs="+", default=[], help="overrides of `gan train` for all runs")
    options = parser.parse_args()
    chance, wrong, done = random.Random(options.seed), 0, 0
    with tempfile.TemporaryDirectory() as root:
        for number, name in enumerate(options.variants):
            print(name, flush=True)
            folder = Path(root, name.replace(" ", "_"))
            started = time.monotonic()
            overrides = (*VARIANTS[name], *options.settings)
            run = Run(folder / "whole", overrides)
            run.require(run.wait(LIMIT), "the undisturbed run")
            seconds = time.monotonic() - started
            kills = options.kills // len(options.variants) + (number < options.kills % len(options.variants))
            for attempt in range(2 * kills + 3):  # a run may end before its last kill; another one takes the rest
                if kills <= 0:
                    break
                these = disturbed(folder / f"killed_{attempt}", overrides, min(kills, 6), seconds, chance)
                kills, done = kills - these, done + these
                if not these:  # the machine is faster than during the undisturbed run
                    seconds /= 2
                found = differences(folder / "whole", folder / f"killed_{attempt}")
                wrong += len(found)
                print(f"   differences: {len(found)} {' '.join(found)}", flush=True)
    print(f"{done} kills, {wrong} differences")
    raise SystemExit(int(wrong > 0))


if __name__ == "__main__":
    main()
