"""Features, logits and appearance of a growing set of images, on this rank and on all ranks together."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from gan.errors import UserError
from gan.images import unit
from gan.metrics.extractor import Extractor

UNLABELED = -1
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class ImageFeatures:
    """N images as the measures see them, on the extractor's device: on the CPU where that is MPS, which lacks float64.

    `features` are float64 [N, D], `logits` [N, K], `appearance` [N, 3] (see `appearance`), and `labels` int64 [N], or
    None when not every image had one.
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

    @cached_property
    def finite(self) -> bool:
        """Whether no feature and no logit is NaN or infinite: linear algebra on such ones can end the process."""
        return bool(self.features.isfinite().all()) and bool(self.logits.isfinite().all())

    def once(self, compute: Callable[..., T], *arguments: Any) -> T:
        """What `compute(*arguments)` returns. It is computed at the first call and kept as long as these images."""
        key = (compute, *arguments)
        if key not in self._kept:
            self._kept[key] = compute(*arguments)
        return self._kept[key]


def appearance(images: Tensor) -> Tensor:
    """Brightness, contrast and sharpness of uint8 images [N, C, H, W]: float32 [N, 3].

    Brightness is the mean of the pixels in [0, 1]. Contrast is their standard deviation within the image (RMS contrast,
    Peli 1990). Sharpness is the mean of sqrt(dx^2 + dy^2), dx and dy the differences to the pixel on the right and to
    the one below (a Tenengrad with first differences), in brightness per pixel.
    """
    pixels = unit(images)
    dx = pixels[..., :-1, 1:] - pixels[..., :-1, :-1]
    dy = pixels[..., 1:, :-1] - pixels[..., :-1, :-1]
    sharpness = (dx.square_() + dy.square_()).sqrt_().flatten(1).mean(1)
    contrast, brightness = torch.std_mean(pixels.flatten(1), dim=1, correction=0)
    return torch.stack([brightness, contrast, sharpness], dim=1)


class FeatureCollector:
    """A growing set of images, of which only what the measures need is kept.

    Nothing is read back from the device before `all`: adding images does not wait for it.
    """

    def __init__(self, extractor: Extractor) -> None:
        self.extractor = extractor
        self.clear()

    def clear(self) -> None:
        """Forgets all images."""
        self._parts: list[tuple[Tensor, ...]] = []  # features, logits, appearance and labels of some images
        self._all: ImageFeatures | None = None

    @torch.no_grad()
    def add(self, images: Tensor, labels: Tensor | None = None) -> None:
        """Runs the extractor over uint8 images [N, C, 28, 28], with int64 labels [N] where there are any.

        Raises:
            UserError: images of another type, or another number of labels.
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
        if len(labels) != len(images):
            raise UserError(f"images to measure have a label each, and not {len(labels)} for {len(images)} images")
        for chunk, chunk_labels in zip(images.split(size), labels.split(size), strict=True):
            chunk = chunk.to(device)
            self._parts.append((*self.extractor(chunk), appearance(chunk), chunk_labels.to(device)))

    def all(self) -> ImageFeatures:
        """The images of all ranks, in the order of the ranks; to be called on all ranks."""
        if self._all is None:
            device = torch.device("cpu") if self.extractor.device.type == "mps" else self.extractor.device
            shares = _of_all_ranks([torch.cat(column) for column in zip(*self._parts, strict=True)])
            shares = [share for share in shares if share]  # a rank without images has no columns
            if not shares:
                shares = [[torch.empty(0, 0), torch.empty(0, 0), torch.empty(0, 0), torch.empty(0)]]
            features, logits, looks, labels = (torch.cat(column).to(device) for column in zip(*shares, strict=True))
            labeled = len(labels) > 0 and bool((labels != UNLABELED).all())
            self._all = ImageFeatures(features.double(), logits, looks, labels.long() if labeled else None)
        return self._all


def on_first_rank(compute: Callable[[], T]) -> T:
    """What the first rank computes, on all ranks; to be called on all ranks."""
    if not _several_ranks():
        return compute()
    holder: list[Any] = [compute() if dist.get_rank() == 0 else None]
    dist.broadcast_object_list(holder)
    return holder[0]


def _several_ranks() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def _of_all_ranks(share: list[Tensor]) -> list[list[Tensor]]:
    """The columns of each rank."""
    if not _several_ranks():
        return [share]
    shares = [share] * dist.get_world_size()
    dist.all_gather_object(shares, [part.cpu() for part in share])
    return shares
