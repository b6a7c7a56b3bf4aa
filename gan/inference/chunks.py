"""A network runs on chunks of few sizes, all of the same bits, so that an image does not depend on its companions."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, pairwise
from threading import Lock
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from gan.cuda_graphs import CudaGraphs, copied_to_host
from gan.errors import one_line
from gan.images import quantize
from gan.inference.class_mixing import class_embeddings, mix_classes

CHUNK = 256
SMALLER_CHUNKS = (1, 2, 4, 8, 12, 16, 24, 32)
Inputs = tuple[Tensor, Tensor | None]

log = logging.getLogger("gan")


def chunks(start: int, stop: int, size: int = CHUNK) -> Iterator[tuple[int, int]]:
    """Splits the range start..stop-1 at the multiples of `size` into pairs (first, end)."""
    return pairwise(chain([start], range(start // size * size + size, stop, size), [stop]))


@torch.inference_mode()
def exact_sizes(network: nn.Module, latents: Tensor, labels: Tensor | None, num_classes: int | None) -> tuple[int, ...]:
    """The sizes, smaller than `CHUNK`, of chunks in which an image has the same bits as in a chunk of `CHUNK` images.

    A processor's kernels add in an order that depends on the shape and on an image's place in it, never on values. So a
    size that gives the same bits for these `CHUNK` latents gives them for all, with as many threads. Without one it is
    `CHUNK` alone.
    """
    kinds = [labels]
    if labels is not None and num_classes is not None and class_embeddings(network, num_classes):
        kinds.append(torch.eye(num_classes)[labels].lerp(torch.full((num_classes,), 1 / num_classes), 0.3))
    expected = [forward(network, latents, kind) for kind in kinds]

    def exact(size: int) -> bool:
        for kind, images in zip(kinds, expected, strict=True):
            # Kernels treat the ends of a large chunk apart, and split its work between threads in the middle.
            for first in (0, (CHUNK - size) // 2, CHUNK - size):
                span = slice(first, first + size)
                given = padded(latents[span], None if kind is None else kind[span], size)
                if not torch.equal(forward(network, *given), images[span]):
                    return False
        return True

    return tuple(filter(exact, SMALLER_CHUNKS)) or (CHUNK,)


def padded(latents: Tensor, labels: Tensor | None, size: int) -> Inputs:
    """The inputs of a chunk, with zeros after them."""
    missing = size - len(latents)
    if labels is not None:
        labels = pad(labels, (0, 0) * (labels.dim() - 1) + (0, missing))
    return pad(latents, (0, 0, 0, missing)), labels


def forward(network: nn.Module, latents: Tensor, labels: Tensor | None) -> Tensor:
    """Images float [N, C, 28, 28] of whole classes, or of their shares; a caller's autocast changes none of them."""
    with torch.autocast(latents.device.type, enabled=False):
        if labels is not None and labels.is_floating_point():
            return mix_classes(network, latents, labels)
        images: Tensor = network(latents, labels)
        return images


class ChunkRunner:
    """Runs a network on chunks, each padded with zeros to the smallest of the ascending sizes that holds it.

    On a CUDA device the forward pass is recorded and replayed, and a chunk is on its way while the one before is used.
    """

    def __init__(self, network: nn.Module, sizes: Sequence[int], device: torch.device) -> None:
        self.network, self.sizes, self.device = network, sizes, device
        self._graphs, self._replaying = None, Lock()  # all threads replay on the same tensors
        if device.type == "cuda":
            with torch.cuda.device(device):  # streams and graphs are those of the current device
                self._graphs = CudaGraphs()
        self._recorded: dict[tuple[int, bool], tuple[Inputs, Callable[[], None], Tensor]] = {}

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        """A pickled or a deep copy starts anew: locks, streams and recorded passes belong to one process."""
        return type(self), (self.network, self.sizes, self.device)

    @torch.inference_mode()
    def run(self, inputs: Iterable[Inputs]) -> Iterator[Tensor]:
        """The images of each chunk, uint8 [n, C, 28, 28] on the CPU; labels are classes, shares of classes or None."""
        under_way: deque[Callable[[], Tensor]] = deque()
        for latents, labels in inputs:
            under_way.append(self._start(latents, labels))
            if len(under_way) > (self._graphs is not None):
                yield under_way.popleft()()
        for result in under_way:
            yield result()

    def _start(self, latents: Tensor, labels: Tensor | None) -> Callable[[], Tensor]:
        """Starts a chunk; what is returned waits for its images."""
        count = len(latents)
        latents, labels = padded(latents, labels, next(size for size in self.sizes if size >= count))
        mixed = labels is not None and labels.is_floating_point()
        if self._graphs is not None and not mixed:
            with self._replaying, torch.cuda.device(self.device):
                if self._is_recorded(latents, labels):
                    on_host, copied = self._replay(latents, labels)

                    def wait() -> Tensor:
                        copied.synchronize()
                        return on_host[:count].clone()

                    return wait
        images = quantize(forward(self.network, *self._on_device(latents, labels))[:count]).cpu()
        return lambda: images

    def _on_device(self, latents: Tensor, labels: Tensor | None) -> Inputs:
        return latents.to(self.device), None if labels is None else labels.to(self.device)

    def _is_recorded(self, latents: Tensor, labels: Tensor | None) -> bool:
        """Records the forward pass for inputs of this form if it is not yet; False if the network does not allow it."""
        graphs, kind = self._graphs, (len(latents), labels is None)
        if graphs is not None and kind not in self._recorded:  # None: another thread has found out just now
            given = self._on_device(latents, labels)
            with graphs.warming_up():
                quantize(forward(self.network, *given))
            try:
                self._recorded[kind] = (given, *graphs.record(lambda: quantize(forward(self.network, *given))))
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                log.warning("the generator's forward pass cannot be recorded, and is slower (%s)", one_line(error))
                self._graphs = None
        return kind in self._recorded

    def _replay(self, latents: Tensor, labels: Tensor | None) -> tuple[Tensor, torch.cuda.Event]:
        """Images on their way to pinned memory, and the event of their arrival."""
        given, replay, images = self._recorded[len(latents), labels is None]
        for target, source in zip(given, (latents, labels), strict=True):
            if target is not None and source is not None:
                target.copy_(source.pin_memory(), non_blocking=True)
        replay()
        return copied_to_host(images)
