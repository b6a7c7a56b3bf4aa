"""Features, logits and appearance of a growing set of images, on this rank and on all ranks together."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from gan.errors import UserError
from gan.metrics.extractor import Extractor

UNLABELED = -1
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class ImageFeatures:
    """N images as the measures see them, on the extractor's device: on the CPU where that is MPS, which lacks float64.

    `features` are float64 [N, D], `logits` [N, K], `appearance` [N, 3], or [N, 0] where it is not measured, and
    `labels` int64 [N], or None when not every image had one.
    """

    features: Tensor
    logits: Tensor
    appearance: Tensor
    labels: Tensor | None
    _kept: dict[tuple[Any, ...], Any] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.features)

    @cached_property
    def digits(self) -> Tensor:
        """The predicted classes: int64 [N]."""
        return self.logits.argmax(1)

    def once(self, compute: Callable[..., T], *arguments: Any) -> T:
        """What `compute(*arguments)` returns. It is computed at the first call and kept as long as these images."""
        key = (compute, *arguments)
        if key not in self._kept:
            self._kept[key] = compute(*arguments)
        return self._kept[key]

    def cpu(self) -> "ImageFeatures":
        """The same on the CPU."""
        labels = None if self.labels is None else self.labels.cpu()
        return ImageFeatures(self.features.cpu(), self.logits.cpu(), self.appearance.cpu(), labels)


class FeatureCollector:
    """A growing set of images, of which only what the measures need is kept.

    Nothing is read back from the device before `all`: adding images does not wait for it.

    Args:
        extractor: whose features and logits are kept.
        appearance: from uint8 images [N, C, H, W] to what is kept of their pixels, float32 [N, W]; None keeps nothing.
    """

    def __init__(self, extractor: Extractor, appearance: Callable[[Tensor], Tensor] | None = None) -> None:
        self.extractor, self.appearance = extractor, appearance
        self.clear()

    def clear(self) -> None:
        """Forgets all images."""
        self._rows: list[Tensor] = []
        self._widths = (0, 0)
        self._all: ImageFeatures | None = None

    @torch.no_grad()
    def add(self, images: Tensor, labels: Tensor | None = None) -> None:
        """Runs the extractor over uint8 images [N, C, 28, 28], with int64 labels [N] where there are any.

        Raises:
            UserError: images of another type.
        """
        if images.dtype != torch.uint8:
            raise UserError(
                f"images to measure are uint8 in 0..255, not {images.dtype}; gan.evaluate.measure takes others"
            )
        self._all = None
        if not len(images):
            return
        device, size = self.extractor.device, self.extractor.chunk_size
        if labels is None:
            labels = torch.full((len(images),), UNLABELED, device=device)
        for chunk, chunk_labels in zip(images.split(size), labels.split(size), strict=True):
            chunk = chunk.to(device)
            features, logits = self.extractor(chunk)
            looks = features.new_empty(len(chunk), 0) if self.appearance is None else self.appearance(chunk)
            self._widths = (features.shape[1], looks.shape[1])
            # One table, so that ranks exchange one tensor; classes up to 1,000 are exact in float32.
            column = chunk_labels.to(device, torch.float32).unsqueeze(1)
            self._rows.append(torch.cat([features, column, looks, logits], dim=1))

    def all(self) -> ImageFeatures:
        """The images of all ranks, in the order of the ranks; to be called on all ranks."""
        if self._all is None:
            rows, widths = torch.cat(self._rows) if self._rows else torch.empty(0, 0), self._widths
            if _several_ranks():
                rows, widths = _gathered(rows, widths)
            device = self.extractor.device
            rows = rows.to("cpu" if device.type == "mps" else device)
            ends = (widths[0], widths[0] + 1, widths[0] + 1 + widths[1])
            features, column, looks, logits = rows.tensor_split(ends, dim=1)
            labeled = len(column) > 0 and bool((column != UNLABELED).all())
            self._all = ImageFeatures(features.double(), logits, looks, column[:, 0].long() if labeled else None)
        return self._all


def is_first_rank() -> bool:
    """Whether this process is the only one or the first of several."""
    return not _several_ranks() or dist.get_rank() == 0


def from_first_rank(value: T) -> T:
    """The first rank's value, on all ranks; to be called on all ranks."""
    holder = [value]
    if _several_ranks():
        dist.broadcast_object_list(holder)
    return holder[0]


def _several_ranks() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def _gathered(rows: Tensor, widths: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
    """The rows of all ranks, and the widths of a rank that has images: one without does not know them."""
    shares = [(rows, widths)] * dist.get_world_size()
    dist.all_gather_object(shares, (rows.cpu(), widths))
    filled = [share for share in shares if len(share[0])]
    return (torch.cat([share for share, _ in filled]), filled[0][1]) if filled else (rows, widths)
