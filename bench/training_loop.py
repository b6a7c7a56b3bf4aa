"""Training speed: `gan train` and a bare PyTorch loop with the same networks and steps, in turns in one process.

    python bench/training_loop.py [--batches 60] [--rounds 5] [--against OVERRIDE] [overrides]

Prints images per second of both, the ratio (gan train / bare) of each round, and the median ratio. `gan train` runs
with its default logging, averaging and callbacks. It is timed from the first batch of the epoch to the end of the last.
With `--against model.one_stage=false` it is compared with `gan train` with this override instead of the bare loop.
"""

import argparse
import copy
import logging
import statistics
import tempfile
import time

import torch
from lightning import Callback, Trainer
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, softplus

from gan.config import compose, instantiate
from gan.images import normalize
from gan.module import GAN
from gan.train import train


class Clock(Callback):
    """Seconds from the first batch to the end of the last one."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: GAN) -> None:
        self.seconds = -time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: GAN) -> None:
        self.seconds += time.perf_counter()


def bare_loop(module: GAN, images: Tensor, labels: Tensor, batches: int, batch_size: int) -> float:
    """Seconds of the published step on `batches` batches, in plain PyTorch; `labels` are not used."""
    options = module.hparams
    generator, discriminator = module.generator.train(), module.discriminator.train()
    generator_optimizer, discriminator_optimizer = (
        torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999)) for network in (generator, discriminator)
    )
    noise, limit = options.instance_noise, options.gradient_clip_norm
    smoothing = options.loss.get("label_smoothing", 0)
    real_target, fake_target = torch.full((batch_size,), 1.0 - smoothing), torch.zeros(batch_size)
    ones = torch.ones(batch_size)
    order = torch.randperm(len(images))

    started = time.perf_counter()
    for batch in range(batches):
        real = normalize(images[order[batch * batch_size : (batch + 1) * batch_size]])
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
    return time.perf_counter() - started


def bare_conditional_loop(module: GAN, images: Tensor, labels: Tensor, batches: int, batch_size: int) -> float:
    """Seconds of the step of `model=conditional` with its default values on `batches` batches, in plain PyTorch."""
    generator, discriminator = module.generator.train(), module.discriminator.train()
    generator_optimizer, discriminator_optimizer = (
        torch.optim.Adam(network.parameters(), lr=rate, betas=(0.0, 0.99))
        for network, rate in ((generator, 3e-3), (discriminator, 1.5e-3))
    )
    average = copy.deepcopy(generator)
    weights = list(generator.parameters())
    order = torch.randperm(len(images))

    started = time.perf_counter()
    for batch in range(batches):
        chosen = order[batch * batch_size : (batch + 1) * batch_size]
        real, real_labels = normalize(images[chosen]), labels[chosen]
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
    return time.perf_counter() - started


def timed_train(overrides: list[str], batches: int) -> float:
    """Seconds of `gan train` for the batches of one epoch."""
    with tempfile.TemporaryDirectory() as folder:
        module, _ = train(
            compose(
                "train",
                [
                    "hardware=cpu",
                    f"output_dir='{folder}'",
                    *overrides,
                    "trainer.max_epochs=1",
                    f"trainer.limit_train_batches={batches}",
                    "trainer.limit_val_batches=0",
                    "~callbacks.plots",
                    f"+callbacks.clock._target_={Clock.__module__}.Clock",
                ],
            )
        )
    return next(callback.seconds for callback in module.trainer.callbacks if isinstance(callback, Clock))


def timed_bare_loop(overrides: list[str], batches: int) -> float:
    """Seconds of the bare loop, after a few batches in which PyTorch chooses its kernels."""
    cfg = compose("train", ["hardware=cpu", "output_dir=unused", *overrides])
    datamodule, module = instantiate(cfg.data), instantiate(cfg.model)
    datamodule.prepare_data()
    datamodule.setup()
    loop = bare_conditional_loop if module.num_classes else bare_loop
    for count in (5, batches):
        seconds = loop(module, datamodule.train_images, datamodule.train_labels, count, cfg.data.batch_size)
    return seconds


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
            reference = timed_train([*arguments.overrides, arguments.against], arguments.batches)
        else:
            reference = timed_bare_loop(arguments.overrides, arguments.batches)
        seconds = timed_train(arguments.overrides, arguments.batches)
        ratios.append(reference / seconds)
        print(
            f"{name} {images / reference:7.0f} images/s   gan train {images / seconds:7.0f} images/s   {ratios[-1]:.3f}"
        )
    print(f"median ratio {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
