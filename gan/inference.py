"""Draws images from a trained generator: everything after training sees a checkpoint through `DigitGenerator`."""

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from gan.build import build
from gan.checkpoint import read_checkpoint
from gan.errors import UserError
from gan.images import quantize
from gan.randomness import latents

CHUNK = 256


class DigitGenerator:
    """A trained generator and what is known of it.

    Image i of a seed is the same, to the bit on one device, whatever else is asked for: latents are drawn by index, and
    the network always runs on chunks of one size.

    Attributes:
        latent_dim: length of a latent vector.
        num_classes: of a conditional model, else None.
        image_channels: 1 for grey images, 3 for colour.
        device: where the network runs.
        data: name of the data it was trained on, where that is known.
    """

    def __init__(self, network: nn.Module, facts: Mapping[str, Any], device: str = "auto") -> None:
        self.device = _device(device)
        self.network = network.eval().requires_grad_(False).to(self.device)
        self.latent_dim: int = facts["latent_dim"]
        self.num_classes: int | None = facts["num_classes"]
        self.image_channels: int = facts["image_channels"]
        self.data: str | None = facts.get("data")
        self._facts = dict(facts)

    @classmethod
    def from_checkpoint(cls, path: str | Path, device: str = "auto", trust: Sequence[str] = ()) -> Self:
        """The averaged generator of a training checkpoint.

        Args:
            path: of a checkpoint; nothing in it is executed.
            device: "auto", "cpu", "cuda", "cuda:1" or "mps".
            trust: packages of one's own that its network may come from.

        Raises:
            UserError: the file, the device or the network cannot be used.
        """
        checkpoint = read_checkpoint(Path(path), "ckpt")
        options = checkpoint["hyper_parameters"]
        shape = {name: options[name] for name in ("latent_dim", "num_classes", "image_channels")}
        network = build(options["generator"], "model.generator", ["gan.networks"], trust, **shape)
        prefix = "generator_ema."
        weights = {
            key.removeprefix(prefix): value for key, value in checkpoint["state_dict"].items() if key.startswith(prefix)
        }
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise UserError(
                f"ckpt={path}: its weights do not fit its generator ({str(error).splitlines()[0]})"
            ) from error
        progress = {"epoch": checkpoint["epoch"] + 1, "images_seen": checkpoint["images_seen"]}
        progress["data"] = checkpoint.get("data")
        return cls(network, {**shape, **progress, "model_name": options["generator"]["_target_"]}, device)

    def generate(self, num_images: int, digits: Sequence[int] | None = None, seed: int = 0, first: int = 0) -> Tensor:
        """Images first..first + num_images - 1 of a seed.

        Args:
            num_images: at least 1.
            digits: image i shows digits[i mod len(digits)]; all classes in turn when not given. For conditional models.
            seed: non-negative.
            first: index of the first image.

        Returns:
            uint8 [num_images, C, 28, 28] on the CPU.

        Raises:
            UserError: a digit that the model does not draw, or a number out of range.
        """
        return torch.cat(list(self.stream(num_images, digits, seed, first)))

    def stream(
        self, num_images: int, digits: Sequence[int] | None = None, seed: int = 0, first: int = 0
    ) -> Iterator[Tensor]:
        """What `generate` returns, in pieces of bounded memory."""
        if num_images < 1 or seed < 0 or first < 0:
            raise UserError(f"num_images={num_images}, seed={seed}, first={first}: at least 1, 0 and 0")
        for start in range(first, first + num_images, CHUNK):
            stop = min(start + CHUNK, first + num_images)
            yield self.draw(latents(seed, start, stop, self.latent_dim), self.labels(digits, start, stop))

    def labels(self, digits: Sequence[int] | None, start: int, stop: int) -> Tensor | None:
        """Labels of the images start..stop-1, int64; None for an unconditional model."""
        if self.num_classes is None:
            if digits is not None:
                raise UserError(f"digits={list(digits)}: this model is unconditional, it draws no digit on demand")
            return None
        choices = list(range(self.num_classes)) if digits is None else list(digits)
        if not choices or not all(0 <= digit < self.num_classes for digit in choices):
            raise UserError(f"digits={choices}: digits are 0 to {self.num_classes - 1}, and at least one")
        return torch.tensor(choices)[torch.arange(start, stop) % len(choices)]

    @torch.inference_mode()
    def draw(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images of given latents: float [N, latent_dim], int64 [N] -> uint8 [N, C, 28, 28] on the CPU."""
        if len(z) > CHUNK:
            parts = zip(
                z.split(CHUNK), labels.split(CHUNK) if labels is not None else itertools.repeat(None), strict=False
            )
            return torch.cat([self.draw(*part) for part in parts])
        missing = CHUNK - len(z)
        z = pad(z, (0, 0, 0, missing)).to(self.device)
        padded = None if labels is None else pad(labels, (0, missing)).to(self.device)
        return quantize(self.network(z, padded))[: CHUNK - missing].cpu()

    def info(self) -> dict[str, Any]:
        """Model name, latent size, parameters, progress of the training, device, classes and version."""
        sizes = [parameter.numel() for parameter in self.network.parameters()]
        digest = hashlib.sha256()
        for name, value in self.network.state_dict().items():
            digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
        return {
            **self._facts,
            "total_parameters": sum(sizes),
            "trainable_parameters": sum(sizes),
            "device": str(self.device),
            "version": digest.hexdigest()[:12],
        }


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device={name}: not on this machine; auto takes the best there is") from error
    return device
