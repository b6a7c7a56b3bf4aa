"""The cost of validation: its seconds against those of an epoch, on real MNIST with all defaults.

    python bench/validation_cost.py [--batches 20] [overrides]

Prints both and their ratio. The seconds of an epoch are estimated from its first batches.
"""

import argparse
import logging
import tempfile
import time

from lightning import Callback, Trainer

from gan.config import compose
from gan.module import GAN
from gan.train import train

SKIPPED = 3  # PyTorch chooses its kernels in the first batches


class Clock(Callback):
    """Seconds of a training batch, of an epoch and of each validation."""

    def __init__(self) -> None:
        self.batch = self.epoch = 0.0
        self.validations: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, outputs: object, batch: object, index: int) -> None:
        if index == SKIPPED - 1:
            self.batch = -time.perf_counter()
        if trainer.is_last_batch:
            self.batch = (self.batch + time.perf_counter()) / (index + 1 - SKIPPED)

    def on_validation_start(self, trainer: Trainer, pl_module: GAN) -> None:
        self.started = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: GAN) -> None:
        self.validations.append(time.perf_counter() - self.started)
        self.epoch = self.batch * (len(trainer.datamodule.train_images) // trainer.datamodule.batch_size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    if arguments.batches <= SKIPPED:
        parser.error(f"--batches {arguments.batches}: more than the {SKIPPED} that are not timed")
    logging.getLogger("gan").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        module, _ = train(
            compose(
                "train",
                [
                    f"output_dir='{folder}'",
                    "trainer.max_epochs=2",
                    "steps_per_execution=1",  # each batch ends for the clock
                    f"trainer.limit_train_batches={arguments.batches}",
                    "~callbacks.plots",
                    "+callbacks.clock._target_=__main__.Clock",
                    *arguments.overrides,
                ],
            )
        )
    clock = next(callback for callback in module.trainer.callbacks if isinstance(callback, Clock))
    first, second = clock.validations
    print(f"epoch {clock.epoch:.1f} s")
    print(
        f"first validation (with the features of the real images) {first:.1f} s, {first / clock.epoch:.1%} of an epoch"
    )
    print(f"later validations {second:.1f} s, {second / clock.epoch:.1%} of an epoch")


if __name__ == "__main__":
    main()
