"""A network always runs on chunks of one size, so that an image does not depend on the others generated with it."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from gan.cuda_graphs import CudaGraphs
from gan.images import quantize
from gan.inference.class_mixing import mix_classes

CHUNK = 256
Inputs = tuple[Tensor, Tensor | None]


def chunks(start: int, stop: int, size: int = CHUNK) -> Iterator[tuple[int, int]]:
    """Splits the range start..stop-1 at the multiples of `size` into pairs (first, end)."""
    return itertools.pairwise([start, *range(start // size * size + size, stop, size), stop])


class ChunkRunner:
    """Runs a network on chunks of one size, padded with zeros.

    On a CUDA device the forward pass is recorded and replayed, and a chunk is on its way while the one before it is
    used.

    Args:
        network: a generator on `device`.
        size: images in a chunk.
    """

    def __init__(self, network: nn.Module, size: int, device: torch.device) -> None:
        self.network, self.size, self.device = network, size, device
        self._graphs = CudaGraphs() if device.type == "cuda" else None
        self._recorded: dict[bool, tuple[Tensor, Tensor | None, Callable[[], None], Tensor]] = {}

    @torch.inference_mode()
    def run(self, inputs: Iterable[Inputs]) -> Iterator[Tensor]:
        """The images of each chunk: uint8 [n, C, 28, 28] on the CPU.

        Args:
            inputs: latents float [n, latent_dim] with n at most the chunk's size; and labels int64 [n], or float [n,
                num_classes] with the share of each class, or None.
        """
        under_way: deque[Callable[[], Tensor]] = deque()
        for latents, labels in inputs:
            under_way.append(self._start(latents, labels))
            if len(under_way) > (self._graphs is not None):
                yield under_way.popleft()()
        for result in under_way:
            yield result()

    def _start(self, latents: Tensor, labels: Tensor | None) -> Callable[[], Tensor]:
        """Starts a chunk; what is returned waits for its images."""
        count, missing = len(latents), self.size - len(latents)
        latents = pad(latents, (0, 0, 0, missing))
        if labels is not None:
            labels = pad(labels, (0, 0) * (labels.dim() - 1) + (0, missing))
        mixed = labels is not None and labels.is_floating_point()
        if self._graphs is None or mixed:
            images = self._images(latents.to(self.device), None if labels is None else labels.to(self.device))
            images = images[:count].cpu()
            return lambda: images
        on_host, copied = self._replay(latents, labels)

        def wait() -> Tensor:
            copied.synchronize()
            return on_host[:count].clone()

        return wait

    def _images(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        mixed = labels is not None and labels.is_floating_point()
        return quantize(mix_classes(self.network, latents, labels) if mixed else self.network(latents, labels))

    def _replay(self, latents: Tensor, labels: Tensor | None) -> tuple[Tensor, torch.cuda.Event]:
        """Images on their way to pinned memory, and the event of their arrival."""
        if (labels is None) not in self._recorded:
            given = (latents.to(self.device), None if labels is None else labels.to(self.device))
            with self._graphs.warming_up():
                self._images(*given)
            self._recorded[labels is None] = (*given, *self._graphs.record(lambda: self._images(*given)))
        *given, replay, images = self._recorded[labels is None]
        for target, source in zip(given, (latents, labels), strict=True):
            if target is not None:
                target.copy_(source.pin_memory(), non_blocking=True)
        replay()
        on_host = torch.empty(images.shape, dtype=images.dtype, pin_memory=True)
        on_host.copy_(images, non_blocking=True)
        copied = torch.cuda.Event()
        copied.record()
        return on_host, copied
