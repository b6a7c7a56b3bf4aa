"""Speed beside a busy process: `threads=1` and `gan`'s own choice, on a quiet machine and beside a neighbour.

    python bench/neighbour.py [--rounds 4] [--batches 100] [overrides]

Trains, generates one image at a time and 2,000 at once, and measures 2,000, in turns in one process. Prints images per
second of each, and the ratio of `gan`'s choice to one thread. The neighbour is a process that computes without end.
Other processes on the machine make the quiet figures those of a busy one.
"""

import argparse
import logging
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from joblib import cpu_count
from training_loop import timed

from gan.config import compose
from gan.inference import DigitGenerator
from gan.metrics import ImageMeasures, build_extractor
from gan.threads import settle_threads


@contextmanager
def neighbour(busy: bool) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
    time.sleep(4)  # the watch's longest time to notice
    try:
        yield
    finally:
        if process is not None:
            process.kill()
            process.wait()


def train_rate(overrides: list[str], batches: int, threads: int) -> float:
    size = compose("train", ["output_dir=unused", *overrides]).data.batch_size
    seconds, _ = timed([*overrides, f"threads={threads}"], batches, bare=False)
    return batches * size / seconds


def generate_rate(generator: DigitGenerator, calls: int, images: int) -> float:
    started = time.perf_counter()
    for seed in range(calls):
        generator.generate(images, seed=seed)
    return calls * images / (time.perf_counter() - started)


def measure_rate(images: torch.Tensor) -> float:
    measures = ImageMeasures(build_extractor("mnist"), ["fid", "precision"])
    measures.real.add(images)
    started = time.perf_counter()
    measures.generated.add(images)
    measures.compute()
    return len(images) / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--batches", type=int, default=100)
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    overrides = ["experiment=quick", *arguments.overrides]
    logging.getLogger("gan").setLevel(logging.WARNING)
    generator = DigitGenerator.open("pretrained", "ckpt", "cpu")
    images = generator.generate(2000, seed=0)
    programs: dict[str, Callable[[int], float]] = {
        "train": lambda threads: train_rate(overrides, arguments.batches, threads),
        "generate 1": lambda threads: generate_rate(generator, 100, 1),
        "generate 2,000": lambda threads: generate_rate(generator, 1, 2000),
        "measure 2,000": lambda threads: measure_rate(images),
    }
    cores = cpu_count()
    rates: dict[tuple[str, bool, int], list[float]] = defaultdict(list)
    for _ in range(arguments.rounds):
        for busy in (False, True):
            with neighbour(busy):
                for name, rate in programs.items():
                    for threads in (1, cores):
                        settle_threads(threads)
                        rates[name, busy, threads].append(rate(threads))
    print(f"images/s, median of {arguments.rounds} rounds; torch {torch.__version__}, {cores} cores")
    print(f"{'':16}{'neighbour':>10}{'1 thread':>10}{f'{cores} threads':>12}{'ratio':>8}   (least, most)")
    for name in programs:
        for busy in (False, True):
            one, own = rates[name, busy, 1], rates[name, busy, cores]
            ratios = sorted(b / a for a, b in zip(one, own, strict=True))
            medians = f"{statistics.median(one):10,.0f}{statistics.median(own):12,.0f}{statistics.median(ratios):8.2f}"
            print(f"{name:16}{'busy' if busy else 'none':>10}{medians}   ({ratios[0]:.2f}, {ratios[-1]:.2f})")


if __name__ == "__main__":
    main()
