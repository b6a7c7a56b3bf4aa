"""What a run costs on a GPU: each part prints its rows, in a process that has imported everything.

    python bench/gpu.py data.dir=DIR [--parts steps,quick,best,system_a,compiled,generate,repeat,share] [--seeds 1]

steps: images per second of the step alone, eager and replayed, and of `gan train`, over batch sizes, with their ratios.
quick, best: seconds of `experiment=quick` and `best_gpu`, from config to last file, and what `gan evaluate` says.
system_a: images per second and seconds an epoch, with logging, validation and checkpoints.
compiled: `quick` with `compile=true`.
generate: `gan generate` of a million images as npz, against the network alone.
repeat: whether two runs of a seed, and a resumed one, have the same bits with `deterministic=true`, and its cost.
share: trials per hour of a sweep, one at a time and two sharing the card.
"""

import argparse
import csv
import logging
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from generation import bare_loop, timed_generate
from lightning import Callback, Trainer

from gan.config import compose
from gan.cuda_graphs import CudaGraphs
from gan.evaluate import evaluate
from gan.graphed_step import GraphedStep
from gan.inference import DigitGenerator
from gan.module import GAN
from gan.train import train

SILENT = ("hardware=gpu", "~callbacks.plots", "~callbacks.progress_bar", "+trainer.enable_progress_bar=false")
BATCH_SIZES = (32, 64, 128, 256, 512, 1024)
STEPS = 300


class StepAlone(Callback):
    """Times the module's step on one batch, eager and replayed, before the first epoch."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: GAN) -> None:
        if trainer.current_epoch:
            return
        size = trainer.train_dataloader.batch_size
        images, labels = (values[:size] for values in next(iter(trainer.train_dataloader)))
        self.rates: dict[str, float] = {}  # images per second
        step = pl_module.steps.step(1, size, size, [group["lr"] for group in _groups(trainer)])
        with trainer.precision_plugin.train_step_context():
            for name, run in {"eager": pl_module.step, "replayed": GraphedStep(pl_module.step, CudaGraphs())}.items():
                self.rates[name] = size / _seconds(lambda run=run: run(step, images, labels))


class Trained(NamedTuple):
    """A run, its folder, and its images per second."""

    module: GAN
    folder: Path
    rate: float


class FirstEpoch(Callback):
    """Ends a run after its first epoch, with the schedules of the whole run."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: GAN) -> None:
        trainer.should_stop = True


def _groups(trainer: Trainer) -> list[dict]:
    return [optimizer.param_groups[0] for optimizer in trainer.optimizers]


def _seconds(call: Callable[[], object]) -> float:
    for _ in range(10):
        call()
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(STEPS):
        call()
    torch.cuda.synchronize()
    return (time.perf_counter() - started) / STEPS


def run(name: str, overrides: list[str]) -> Trained:
    """Trains, and prints the seconds from the config to the last file and the images per second of the middle row."""
    folder = Path(tempfile.mkdtemp())
    torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    module, _ = train(compose("train", [*SILENT, *overrides, f"output_dir={folder}"]))
    torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    with (folder / "metrics.csv").open(encoding="utf-8") as file:
        rates = [float(row["train/images_per_second"] or 0) for row in csv.DictReader(file)]
    rate = statistics.median([rate for rate in rates if rate] or [0])
    memory = torch.cuda.max_memory_allocated() / 1e6
    print(
        f"{name:28} {seconds:7.1f} s {module.images_seen:9,} images {rate:10,.0f} images/s {memory:6,.0f} MB",
        flush=True,
    )
    return Trained(module, folder, rate)


def steps(data: list[str], seeds: int) -> None:
    for size in BATCH_SIZES:
        length = [f"data.batch_size={size}", f"max_images={size * 2000}", "trainer.limit_val_batches=0", "logger=[csv]"]
        alone = "+callbacks.alone._target_=__main__.StepAlone"
        module, _, rate = run(f"batches of {size}", [*data, "experiment=quick", *length, alone])
        rates = next(each.rates for each in module.trainer.callbacks if isinstance(each, StepAlone))
        ratios = (f"{name} {bare:10,.0f} images/s, ratio {rate / bare:.2f}" for name, bare in rates.items())
        print(f"  the step alone: {'; '.join(ratios)}", flush=True)


def quick(data: list[str], seeds: int) -> None:
    _measured("quick", data, seeds)


def best(data: list[str], seeds: int) -> None:
    _measured("best_gpu", data, seeds)


def _measured(experiment: str, data: list[str], seeds: int) -> None:
    for seed in range(seeds):
        folder = run(f"{experiment}, seed {seed}", [*data, f"experiment={experiment}", f"seed={seed}"]).folder
        started = time.perf_counter()
        values, _floor = evaluate(
            compose("evaluate", [*data, f"ckpt={folder}/checkpoints/last.ckpt", f"output_dir={folder}/evaluate"])
        ).values()
        seconds = time.perf_counter() - started
        shown = {name: round(value, 4) for name, value in values.items() if isinstance(value, float)}
        print(f"  evaluate {seconds:.1f} s {shown}", flush=True)


def system_a(data: list[str], seeds: int) -> None:
    for precision in ("32-true", "bf16-mixed"):
        overrides = [*data, "experiment=system_a", f"trainer.precision={precision}", "logger=[csv]"]
        seconds = []
        for epochs in (1, 6):
            started = time.perf_counter()
            run(f"system A, {precision}, {epochs}", [*overrides, f"trainer.max_epochs={epochs}"])
            seconds.append(time.perf_counter() - started)
        print(f"  an epoch {(seconds[1] - seconds[0]) / 5:.2f} s, 100 epochs {20 * (seconds[1] - seconds[0]):.0f} s")


def generate(data: list[str], seeds: int) -> None:
    generator = DigitGenerator.open("pretrained", device="cuda")
    with tempfile.TemporaryDirectory() as folder:
        for count in (100_000, 1_000_000):
            bare = count / bare_loop(generator, count)
            rate = count / timed_generate(generator.path, count, folder)
            print(
                f"generate {count:,}: {rate:,.0f} images/s, the network alone {bare:,.0f}: {rate / bare:.2f}",
                flush=True,
            )


def repeat(data: list[str], seeds: int) -> None:
    overrides = [*data, "experiment=quick", "deterministic=true", "max_images=96000"]
    first, second = (_weights(run(f"deterministic, {name}", overrides).module) for name in ("once", "again"))
    print(f"  the same bits: {torch.equal(first, second)}")
    half = [*overrides, "+callbacks.half._target_=__main__.FirstEpoch"]
    folder = run("deterministic, first half", half).folder
    resumed = run("  and resumed", [*overrides, f"ckpt_path={folder}/checkpoints/last.ckpt"]).module
    print(f"  the same bits: {torch.equal(first, _weights(resumed))}")
    run("not deterministic", [*overrides, "deterministic=false"])


def compiled(data: list[str], seeds: int) -> None:
    run("quick, compiled", [*data, "experiment=quick", "compile=true"])


def share(data: list[str], seeds: int) -> None:
    for jobs in (1, 2):
        command = [sys.executable, "-m", "gan", "train", "--multirun", *SILENT, *data, "experiment=quick"]
        command += ["launcher=parallel", f"hydra.launcher.n_jobs={jobs}", "seed=0,1,2,3"]
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            subprocess.run([*command, f"hydra.sweep.dir={folder}"], check=True, stdout=subprocess.DEVNULL)
            print(f"{jobs} at a time: {4 * 3600 / (time.perf_counter() - started):,.0f} trials an hour", flush=True)


def _weights(module: GAN) -> torch.Tensor:
    return torch.cat([value.detach().flatten().float().cpu() for value in module.state_dict().values()])


PARTS = {part.__name__: part for part in (steps, quick, best, system_a, compiled, generate, repeat, share)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    logging.getLogger("gan").setLevel(logging.WARNING)
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    for name in arguments.parts.split(","):
        PARTS[name](arguments.overrides, arguments.seeds)


if __name__ == "__main__":
    main()
