"""What validation costs: its seconds against those of an epoch, on real MNIST with everything at its defaults.

    python bench/validation_cost.py [--batches 20] [overrides]

Prints both and their ratio; the epoch's seconds are those of the first batches times the batches of an epoch.
"""

import argparse
import logging
import tempfile
import time

from lightning import Callback, Trainer

from gan.config import compose
from gan.module import GAN
from gan.train import train

FIRST = 3  # batches that choose their kernels, left out


class Clock(Callback):
    """Seconds of training batches and of each validation."""

    batches, validations = 0.0, []

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, outputs: object, batch: object, index: int) -> None:
        if index == FIRST - 1:
            Clock.batches = -time.perf_counter()
        if trainer.is_last_batch:
            Clock.batches = (Clock.batches + time.perf_counter()) / (index + 1 - FIRST)

    def on_validation_start(self, trainer: Trainer, pl_module: GAN) -> None:
        self.started = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: GAN) -> None:
        Clock.validations.append(time.perf_counter() - self.started)
        Clock.epoch = Clock.batches * (len(trainer.datamodule.train_images) // trainer.datamodule.batch_size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    logging.getLogger("gan").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        train(
            compose(
                "train",
                [
                    f"output_dir='{folder}'",
                    "trainer.max_epochs=2",
                    f"trainer.limit_train_batches={arguments.batches}",
                    "~callbacks.plots",
                    "+callbacks.clock._target_=__main__.Clock",
                    *arguments.overrides,
                ],
            )
        )
    first, second = Clock.validations
    print(f"epoch {Clock.epoch:.1f} s")
    print(f"first validation (features of the real images too) {first:.1f} s, {first / Clock.epoch:.1%} of an epoch")
    print(f"every later one {second:.1f} s, {second / Clock.epoch:.1%} of an epoch")


if __name__ == "__main__":
    main()
