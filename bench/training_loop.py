"""Training speed: `gan train` and a bare PyTorch loop with the same networks and steps, step by step in turns.

    python bench/training_loop.py [--batches 60] [--rounds 5] [--against OVERRIDE] [overrides]

Prints images per second of both, the ratio (gan train / bare) of each round, and the median ratio. `gan train` runs
with its default logging, averaging and callbacks. It takes a step, then the bare loop does. The first batches, in which
PyTorch chooses its kernels, do not count. With `--against model.one_stage=false` it is compared with `gan train` with
this override instead of the bare loop, run by run.
"""

import argparse
import copy
import logging
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import repeat
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, softplus

from gan.config import compose
from gan.data import MNISTDataModule
from gan.images import normalize
from gan.module import GAN
from gan.train import train

WARMUP = 5  # batches


class Turns(Callback):
    """Seconds from the end of the warm-up to that of the last batch, and those of the bare steps after each batch."""

    def __init__(self, bare: bool) -> None:
        self.bare = bare  # whether such steps are taken

    def on_train_epoch_start(self, trainer: Trainer, pl_module: GAN) -> None:
        self.steps = repeat(None)
        if self.bare:
            self.steps = (bare_conditional_steps if pl_module.num_classes else bare_steps)(
                pl_module, trainer.datamodule
            )
        self.seconds = self.bare_seconds = 0.0
        self.since = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: Any, batch_idx: int) -> None:
        ended = time.perf_counter()
        self.seconds += ended - self.since
        next(self.steps)
        self.since = time.perf_counter()
        self.bare_seconds += self.since - ended
        if batch_idx < WARMUP:
            self.seconds = self.bare_seconds = 0.0


def bare_steps(module: GAN, data: MNISTDataModule) -> Iterator[None]:
    """Takes a published step at each call of next, in plain PyTorch."""
    options = module.hparams
    generator, discriminator = copy.deepcopy((module.generator, module.discriminator))
    generator_optimizer, discriminator_optimizer = (
        torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999)) for network in (generator, discriminator)
    )
    batch_size, noise, limit = data.batch_size, options.instance_noise, options.gradient_clip_norm
    smoothing = options.loss.get("label_smoothing", 0)
    real_target, fake_target = torch.full((batch_size,), 1.0 - smoothing), torch.zeros(batch_size)
    ones = torch.ones(batch_size)
    for chosen in batches(data):
        real = normalize(data.train_images[chosen])
        with torch.no_grad():
            fake = generator(torch.randn(batch_size, module.latent_dim))
        if noise:
            real, fake = real + noise * torch.randn_like(real), fake + noise * torch.randn_like(fake)
        loss = binary_cross_entropy_with_logits(discriminator(real), real_target)
        loss = loss + binary_cross_entropy_with_logits(discriminator(fake), fake_target)
        discriminator_optimizer.zero_grad()
        loss.backward()
        if limit:
            nn.utils.clip_grad_norm_(discriminator.parameters(), limit)
        discriminator_optimizer.step()

        discriminator.requires_grad_(False)
        fake = generator(torch.randn(batch_size, module.latent_dim))
        if noise:
            fake = fake + noise * torch.randn_like(fake)
        loss = binary_cross_entropy_with_logits(discriminator(fake), ones)
        generator_optimizer.zero_grad()
        loss.backward()
        if limit:
            nn.utils.clip_grad_norm_(generator.parameters(), limit)
        generator_optimizer.step()
        discriminator.requires_grad_(True)
        yield


def bare_conditional_steps(module: GAN, data: MNISTDataModule) -> Iterator[None]:
    """Takes a step of `model=conditional` with its default values at each call of next, in plain PyTorch."""
    generator, discriminator = copy.deepcopy((module.generator, module.discriminator))
    generator_optimizer, discriminator_optimizer = (
        torch.optim.Adam(network.parameters(), lr=rate, betas=(0.0, 0.99))
        for network, rate in ((generator, 3e-3), (discriminator, 1.5e-3))
    )
    average = copy.deepcopy(generator)
    weights = list(generator.parameters())
    batch_size = data.batch_size
    for batch, chosen in enumerate(batches(data)):
        real, real_labels = normalize(data.train_images[chosen]), data.train_labels[chosen]
        fake_labels = torch.arange(batch_size) % module.num_classes
        fake = generator(torch.randn(batch_size, module.latent_dim), fake_labels)
        judged = fake.detach().requires_grad_()
        logits = discriminator(torch.cat([real, judged]), None)
        loss = 0.1 * cross_entropy(logits[:batch_size], real_labels)
        logits = logits.gather(1, torch.cat([real_labels, fake_labels])[:, None]).squeeze(1)
        real_logits, fake_logits = logits.chunk(2)
        loss = loss + softplus(-real_logits).mean() + softplus(fake_logits).mean()
        if batch % 16 == 0:
            leaf = real.detach().requires_grad_()
            (slopes,) = torch.autograd.grad(discriminator(leaf, real_labels).sum(), leaf, create_graph=True)
            loss = loss + 0.5 * 16 * slopes.square().flatten(1).sum(1).mean() / 2
        discriminator_optimizer.zero_grad()
        loss.backward()
        discriminator_optimizer.step()

        # d L_G / d logit over d L_D / d logit is -sigmoid(-logit) / sigmoid(logit) = -exp(-logit)
        factors = -(-fake_logits.detach()).exp()
        generator_optimizer.zero_grad()
        fake.backward(judged.grad * factors[:, None, None, None])
        generator_optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), weights, 0.01)
        yield


def batches(data: MNISTDataModule) -> Iterator[Tensor]:
    """The places of the images of one full batch after the other, for ever."""
    while True:
        order = torch.randperm(len(data.train_images))
        yield from order.split(data.batch_size)[: len(order) // data.batch_size]


def timed(overrides: list[str], batches: int, bare: bool) -> tuple[float, float]:
    """Seconds of `gan train` for so many batches after the warm-up, and those of as many bare steps, 0 without them."""
    with tempfile.TemporaryDirectory() as folder:
        module, _ = train(
            compose(
                "train",
                [
                    "hardware=cpu",
                    f"output_dir='{folder}'",
                    *overrides,
                    "trainer.max_epochs=1",
                    f"trainer.limit_train_batches={WARMUP + batches}",
                    "trainer.limit_val_batches=0",
                    "~callbacks.plots",
                    f"+callbacks.turns={{_target_: {Turns.__module__}.Turns, bare: {bare}}}",
                ],
            )
        )
    turns = next(callback for callback in module.trainer.callbacks if isinstance(callback, Turns))
    return turns.seconds, turns.bare_seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--against")
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    logging.getLogger("gan").setLevel(logging.WARNING)

    cfg = compose("train", ["output_dir=unused", *arguments.overrides])
    images = arguments.batches * cfg.data.batch_size
    name, ratios = arguments.against or "bare", []
    for _ in range(arguments.rounds):
        if arguments.against:
            reference, _ = timed([*arguments.overrides, arguments.against], arguments.batches, bare=False)
            seconds, _ = timed(arguments.overrides, arguments.batches, bare=False)
        else:
            seconds, reference = timed(arguments.overrides, arguments.batches, bare=True)
        ratios.append(reference / seconds)
        print(
            f"{name} {images / reference:7.0f} images/s   gan train {images / seconds:7.0f} images/s   {ratios[-1]:.3f}"
        )
    print(f"median ratio {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
