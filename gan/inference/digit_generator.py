"""`DigitGenerator`: images of a trained generator. Everything after training uses a checkpoint through it."""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import count, repeat
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from gan.checkpoint_files import SHAPE, checkpoint_path
from gan.config.allowed import COUNT, SIZE, Number
from gan.config.bounds import GENERATE
from gan.config.early_checks import expanded
from gan.errors import UserError
from gan.generator_inputs import check_inputs
from gan.inference.arguments import Select, find_device, number, requested_labels
from gan.inference.chunks import CHUNK, ChunkRunner, Inputs, chunks
from gan.inference.class_mixing import interpolate_labels, main_classes
from gan.inference.classifier_selection import select_by_classifier
from gan.inference.directions import MovableLatents
from gan.inference.exported_files import READERS, OnnxGenerator, read_export
from gan.inference.image_forms import ImageForms
from gan.inference.network_loading import load_generator, weights_checksum
from gan.randomness import derive_seed, latents, random_seed, slerp, truncate

log = logging.getLogger("gan")


class DigitGenerator(MovableLatents, ImageForms):
    """A trained generator and the facts known about it.

    Image i of a seed is always the same, to the bit on one device at one `torch.set_float32_matmul_precision`, whatever
    else is generated with it: its latent depends on the seed and i alone, and all chunks have sizes of the same bits.

    Attributes:
        latent_dim: length of a latent vector.
        num_classes: number of classes of a conditional model, else None.
        image_channels: 1 for grey images, 3 for colour.
        device: the network runs on it.
        data: name of the data set it was trained on, if known.
        path: file it was loaded from, if any.
        facts: what the file says about it, its training's hyperparameters among them.
        chunk_sizes: images in a forward pass, ascending. A service has smaller ones too, for its single images.
    """

    def __init__(
        self, network: nn.Module, facts: Mapping[str, Any], device: str = "auto", path: Path | None = None
    ) -> None:
        found = find_device(device)
        self.device = torch.device("cpu") if isinstance(network, OnnxGenerator) else found
        self.network = network.eval().requires_grad_(False).to(self.device)
        self.latent_dim, self.num_classes, self.image_channels = (facts[name] for name in SHAPE)
        self.path, self.facts, self.data = path, facts, facts.get("data")
        self.chunk_sizes: tuple[int, ...] = (CHUNK,)
        self._runner: ChunkRunner | None = None

    @classmethod
    def open(cls, ckpt: str | Path | None, key: str = "ckpt", device: str = "auto", trust: Sequence[str] = ()) -> Self:
        """The generator of a checkpoint or of an exported file.

        Args:
            ckpt: `last`, `best`, `pretrained`, a path, or None, as for `gan.checkpoint_files.checkpoint_path`.
            key: config key that named the file, for error texts.
            device: "auto", "cpu", "cuda", "cuda:1" or "mps".
            trust: the user's packages that its network may come from.

        Raises:
            UserError: the file, the device or the network cannot be used.
        """
        if not isinstance(trust, Sequence) or isinstance(trust, str) or not all(isinstance(p, str) for p in trust):
            raise UserError(f"trust={trust}: a list of packages, such as [my_gan]")
        path = checkpoint_path(None if ckpt is None else str(ckpt), key)
        opened = (cls.from_export if path.suffix in READERS else cls.from_checkpoint)(path, device, trust, key)
        log.info("generator   %s, %s images seen", path, f"{opened.facts['images_seen']:,}")
        return opened

    @classmethod
    def from_checkpoint(
        cls, path: str | Path, device: str = "auto", trust: Sequence[str] = (), key: str = "ckpt"
    ) -> Self:
        """The averaged generator of a training checkpoint. Nothing in it is executed. Arguments as for `open`."""
        path = expanded(key, str(path))
        return cls(*load_generator(path, key, trust), device, path)

    @classmethod
    def from_export(cls, path: str | Path, device: str = "auto", trust: Sequence[str] = (), key: str = "ckpt") -> Self:
        """The generator of a .safetensors or .onnx file of `gan export` or of a run. Arguments as for `open`.

        An ONNX file runs on the CPU, whatever the device, with as many threads as torch has.
        """
        path = expanded(key, str(path))
        network, facts = read_export(path, key, trust)
        return cls(network, {"trainable_parameters": facts["total_parameters"], **facts}, device, path)

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
            digits: image i shows digits[i mod len(digits)]; None: all classes in turn. An unconditional model takes
                digits only with `select`.
            seed: 0 or more; None: a random one.
            first: index of the first image.
            truncation: limit of the latents' values, see `gan.randomness.truncate`; None: no limit.
            select: "classifier" keeps samples of an unconditional model that it recognizes as the requested digits.

        Returns:
            uint8 [num_images, C, 28, 28] on the CPU. A UserError for a number or a digit out of range.
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
        """The images of `generate`, in pieces of bounded memory."""
        num_images, first = number(COUNT, "num_images", num_images), number(SIZE, "first", first)
        seed = number(SIZE, "seed", random_seed() if seed is None else seed)
        spans = chunks(first, first + num_images)
        if select is not None:
            return (self._selected(digits, seed, *span, truncation, select) for span in spans)
        inputs = ((self.latents(seed, *span, truncation), self.labels(digits, *span)) for span in spans)
        return map(torch.clone, self.sample_chunks(inputs))  # tensors that the caller may change

    def _selected(
        self, digits: Sequence[int] | None, seed: int, first: int, end: int, truncation: float | None, select: Select
    ) -> Tensor:
        # Each chunk of a seed selects from samples of its own, so that any range is cheap.
        block = first // CHUNK
        labels = self.labels(digits, block * CHUNK, end, select)
        assert labels is not None  # with `select`
        seed = derive_seed(seed, block)
        samples = (self.sample(self.latents(seed, i, i + CHUNK, truncation)) for i in count(0, CHUNK))
        return select_by_classifier(samples, labels, skip=first - block * CHUNK)

    def latents(self, seed: int, start: int, stop: int, truncation: float | None = None) -> Tensor:
        """Latents of images start..stop-1 of a seed: float32 [stop - start, latent_dim] on the CPU."""
        truncation = number(GENERATE["truncation"], "truncation", truncation)
        seed, start, stop = number(SIZE, "seed", seed), number(SIZE, "start", start), number(SIZE, "stop", stop)
        z = latents(seed, start, stop, self.latent_dim)
        return self._move(z if truncation is None else truncate(z, truncation))

    def labels(self, digits: Sequence[int] | None, start: int, stop: int, select: Select = None) -> Tensor | None:
        """The labels of images start..stop-1, int64; None for an unconditional model without `select`."""
        return requested_labels(digits, start, stop, self.num_classes, self.image_channels, select)

    def interpolate(
        self,
        seeds: Sequence[int],
        digits: Sequence[int] | None = None,
        steps: int = 12,
        truncation: float | None = None,
    ) -> Tensor:
        """Images on the latent paths from the first image of each seed to that of the next.

        Latents move on great circles. From digit to digit, the class embeddings move in a straight line.

        Args:
            seeds: two or more.
            digits: seed k shows digits[k mod len(digits)], so a single digit stays; None: all classes in turn.
            steps: images from one seed to the next, both ends included; at least 2.
            truncation: as for `generate`.

        Returns:
            uint8 [len(seeds) - 1, steps, C, 28, 28] on the CPU. Also a UserError where there are no embeddings to mix.
        """
        return self.sample(*self.latent_path(seeds, digits, steps, truncation)).unflatten(0, (len(seeds) - 1, steps))

    def latent_path(
        self, seeds: Sequence[int], digits: Sequence[int] | None, steps: int, truncation: float | None
    ) -> tuple[Tensor, Tensor | None]:
        """The inputs of `interpolate`: latents [(len(seeds) - 1) * steps, latent_dim], and labels as for `sample`."""
        if not isinstance(seeds, Collection) or len(seeds) < 2:
            raise UserError(f"seeds={seeds}: 2 or more, such as [0, 5]")
        steps = number(Number(least=2, whole=True), "steps", steps)
        seeds = [number(SIZE, f"seeds[{index}]", seed) for index, seed in enumerate(seeds)]
        ends = torch.cat([self.latents(seed, 0, 1, truncation) for seed in seeds])
        labels = self.labels(digits, 0, len(seeds))
        if labels is not None and self.num_classes is not None:
            labels = interpolate_labels(labels, steps, self.num_classes)
        return slerp(ends[:-1], ends[1:], steps).flatten(0, 1), labels

    def sample_chunks(self, inputs: Iterable[Inputs]) -> Iterator[Tensor]:
        """The images of each chunk of latents and labels; arguments as for `sample`, at most the largest size each."""
        if self._runner is None or self._runner.sizes != self.chunk_sizes:
            self._runner = ChunkRunner(self.network, self.chunk_sizes, self.device)
        return self._runner.run(inputs)

    def sample(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """The images of given latents.

        Args:
            z: float [N, latent_dim].
            labels: int64 [N]; float32 [N, num_classes], the share of each class; None for an unconditional model.

        Returns:
            uint8 [N, C, 28, 28] on the CPU.
        """
        check_inputs(z, main_classes(labels, self.num_classes), self.latent_dim, self.num_classes, "sample")
        most = self.chunk_sizes[-1]
        label_chunks = repeat(None) if labels is None else labels.split(most)
        return torch.cat(list(self.sample_chunks(zip(z.split(most), label_chunks, strict=False))))

    def info(self) -> dict[str, Any]:
        """Model name, sizes, classes, training progress, parameters, device, and version: a checksum of the weights."""
        classes = None if self.num_classes is None else list(range(self.num_classes))
        facts = {name: value for name, value in self.facts.items() if name not in ("hyper_parameters", "command")}
        return {"version": weights_checksum(self.network), **facts, "classes": classes, "device": str(self.device)}
