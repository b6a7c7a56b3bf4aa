"""Draws images from a trained generator: everything after training sees a checkpoint through `DigitGenerator`."""

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from gan.checkpoint_files import checkpoint_path
from gan.errors import UserError
from gan.images import ReturnFormat, as_format, grid
from gan.inference.chunks import CHUNK, chunks, draw_in_chunks
from gan.inference.device import device_of
from gan.inference.exported_files import SUFFIXES, OnnxGenerator, read_export
from gan.inference.labels import Select, asked_labels
from gan.inference.mixing import mixes
from gan.inference.reading import read_generator
from gan.inference.selection import select as select_digits
from gan.randomness import derive_seed, latents, slerp, truncate


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
        path: the file it came from, if any.
        chunk: images that the network always runs on; a service sets fewer, so that one alone is drawn sooner.
    """

    def __init__(
        self, network: nn.Module, facts: Mapping[str, Any], device: str = "auto", path: Path | None = None
    ) -> None:
        self.device = device_of(device)
        self.network = network.eval().requires_grad_(False).to(self.device)
        self.latent_dim: int = facts["latent_dim"]
        self.num_classes: int | None = facts["num_classes"]
        self.image_channels: int = facts["image_channels"]
        self.data: str | None = facts.get("data")
        self.path = path
        self.chunk = CHUNK
        self._facts = dict(facts)

    @classmethod
    def open(cls, ckpt: str | Path | None, key: str = "ckpt", device: str = "auto", trust: Sequence[str] = ()) -> Self:
        """The generator that a user means, of a checkpoint or of an exported file.

        Args:
            ckpt: `last`, `best`, `pretrained`, a path, or None, as for `gan.checkpoint_files.checkpoint_path`.
            key: the config key that named it, for the error's text.
            device, trust: as for `from_checkpoint`.

        Raises:
            UserError: the file, the device or the network cannot be used.
        """
        if not isinstance(trust, Sequence) or isinstance(trust, str) or not all(isinstance(p, str) for p in trust):
            raise UserError(f"trust={trust}: a list of packages, such as [my_gan]")
        path = checkpoint_path(None if ckpt is None else str(ckpt), key)
        return (cls.from_export if path.suffix in SUFFIXES else cls.from_checkpoint)(path, device, trust, key)

    @classmethod
    def from_checkpoint(
        cls, path: str | Path, device: str = "auto", trust: Sequence[str] = (), key: str = "ckpt"
    ) -> Self:
        """The averaged generator of a training checkpoint.

        Args:
            path: of a checkpoint; nothing in it is executed.
            device: "auto", "cpu", "cuda", "cuda:1" or "mps".
            trust: packages of one's own that its network may come from.
            key: the config key that named it, for the error's text.

        Raises:
            UserError: the file, the device or the network cannot be used.
        """
        network, facts = read_generator(Path(path), key, trust)
        return cls(network, facts, device, Path(path))

    @classmethod
    def from_export(cls, path: str | Path, device: str = "auto", trust: Sequence[str] = (), key: str = "ckpt") -> Self:
        """The generator of a .safetensors or .onnx file that `gan export` wrote; arguments as for `from_checkpoint`.

        That of an ONNX file runs on the CPU, whatever the device, on as many threads as torch has.
        """
        network, facts = read_export(Path(path), key, trust)
        opened = cls(network, {"trainable_parameters": facts["total_parameters"], **facts}, device, Path(path))
        if isinstance(network, OnnxGenerator):
            opened.device = torch.device("cpu")
        return opened

    def generate(
        self,
        num_images: int,
        digits: Sequence[int] | None = None,
        seed: int | None = None,
        first: int = 0,
        truncation: float | None = None,
        select: Select = None,
    ) -> Tensor:
        """Images first..first + num_images - 1 of a seed.

        Args:
            num_images: at least 1.
            digits: image i shows digits[i mod len(digits)]; all classes in turn when not given. An unconditional model
                takes them only with `select`.
            seed: non-negative; a random one when not given.
            first: index of the first image.
            truncation: limit of the latents' values, see `gan.randomness.truncate`; None for none.
            select: "classifier" lets an unconditional model draw until the MNIST classifier reads the digits asked for.

        Returns:
            uint8 [num_images, C, 28, 28] on the CPU.

        Raises:
            UserError: a digit that the model does not draw, or a number out of range.
        """
        return torch.cat(list(self.stream(num_images, digits, seed, first, truncation, select)))

    def stream(
        self,
        num_images: int,
        digits: Sequence[int] | None = None,
        seed: int | None = None,
        first: int = 0,
        truncation: float | None = None,
        select: Select = None,
    ) -> Iterator[Tensor]:
        """What `generate` returns, in pieces of bounded memory."""
        if seed is None:
            seed = secrets.randbits(48)
        if num_images < 1 or seed < 0 or first < 0:
            raise UserError(f"num_images={num_images}, seed={seed}, first={first}: at least 1, 0 and 0")
        for start, stop in chunks(first, first + num_images):
            if select is not None:
                yield self._selected(digits, seed, start, stop, truncation, select)
            else:
                yield self.draw(self.latents(seed, start, stop, truncation), self.labels(digits, start, stop, select))

    def _selected(
        self, digits: Sequence[int], seed: int, start: int, stop: int, truncation: float | None, select: str | None
    ) -> Tensor:
        """Images of one chunk; each chunk of a seed has candidates of its own, so that any range is cheap."""
        block = start // CHUNK
        labels = self.labels(digits, block * CHUNK, stop, select)
        candidates = derive_seed(seed, block)

        def drawn(chunk: int) -> Tensor:
            return self.draw(self.latents(candidates, chunk * CHUNK, (chunk + 1) * CHUNK, truncation))

        return select_digits(drawn, labels, skip=start - block * CHUNK)

    def latents(self, seed: int, start: int, stop: int, truncation: float | None = None) -> Tensor:
        """Latents of the images start..stop-1 of a seed: float32 [stop - start, latent_dim] on the CPU."""
        if truncation is not None and not truncation > 0:
            raise UserError(f"truncation={truncation}: more than 0, or null for none")
        z = latents(seed, start, stop, self.latent_dim)
        return z if truncation is None else truncate(z, truncation)

    def labels(self, digits: Sequence[int] | None, start: int, stop: int, select: Select = None) -> Tensor | None:
        """The digits that images start..stop-1 show, int64; None for an unconditional model asked for none."""
        return asked_labels(digits, start, stop, self.num_classes, self.image_channels, select)

    def interpolate(
        self,
        seeds: Sequence[int],
        digits: Sequence[int] | None = None,
        steps: int = 12,
        truncation: float | None = None,
    ) -> Tensor:
        """The ways from the first image of each seed to that of the next, latents on great circles.

        Between two digits, what the network has learnt of each (its class embeddings) is mixed in a straight line.

        Args:
            seeds: two or more.
            digits: that of seed k is digits[k mod len(digits)]; one alone is kept, all in turn when not given.
            steps: images of each way, both ends included; at least 2.
            truncation: as for `generate`.

        Returns:
            uint8 [len(seeds) - 1, steps, C, 28, 28] on the CPU.

        Raises:
            UserError: a number out of range, a digit that the model does not draw, or a network that cannot mix them.
        """
        z, labels = self.way(seeds, digits, steps, truncation)
        return self.draw(z, labels).unflatten(0, (len(seeds) - 1, steps))

    def way(
        self, seeds: Sequence[int], digits: Sequence[int] | None, steps: int, truncation: float | None
    ) -> tuple[Tensor, Tensor | None]:
        """Latents [(len(seeds) - 1) * steps, latent_dim] and labels, for `draw`, of what `interpolate` returns."""
        if len(seeds) < 2 or min(seeds) < 0 or steps < 2:
            raise UserError(
                f"seeds={list(seeds)}, steps={steps}: two seeds or more, none negative, and 2 steps or more"
            )
        ends = torch.cat([self.latents(seed, 0, 1, truncation) for seed in seeds])
        labels = self.labels(digits, 0, len(seeds))
        if labels is not None:
            labels = mixes(labels, steps, self.num_classes)
        return slerp(ends[:-1], ends[1:], steps).flatten(0, 1), labels

    def images(
        self,
        num_images: int,
        digits: Sequence[int] | None = None,
        seed: int | None = None,
        truncation: float | None = None,
        select: Select = None,
        return_format: ReturnFormat = "tensor",
    ) -> Tensor | np.ndarray | list[Image.Image] | list[str]:
        """What `generate` returns, as a tensor or an array uint8 [N, C, 28, 28], as pictures, or as PNGs in base64."""
        images = self.generate(num_images, digits, seed, 0, truncation, select)
        return as_format(images, return_format)

    def grid(
        self,
        num_images: int,
        digits: Sequence[int] | None = None,
        seed: int | None = None,
        truncation: float | None = None,
        select: Select = None,
        columns: int | None = None,
    ) -> Image.Image:
        """What `generate` returns as one picture, row by row; as many columns as rows when not given."""
        return grid(self.generate(num_images, digits, seed, 0, truncation, select), columns)

    @torch.inference_mode()
    def draw(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images of given latents.

        Args:
            z: float [N, latent_dim].
            labels: int64 [N], or float [N, num_classes]: the shares of each class in a mix of them; None for an
                unconditional model.

        Returns:
            uint8 [N, C, 28, 28] on the CPU.
        """
        return draw_in_chunks(self.network, z, labels, self.chunk, self.device)

    def info(self) -> dict[str, Any]:
        """Model name, latent size, classes, progress of the training, parameters, version (of the weights), device."""
        digest = hashlib.sha256()
        for name, value in self.network.state_dict().items():
            digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
        classes = None if self.num_classes is None else list(range(self.num_classes))
        return {"version": digest.hexdigest()[:12], **self._facts, "classes": classes, "device": str(self.device)}
