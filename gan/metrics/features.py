"""What an extractor has seen of a growing set of images, and the same of all ranks together."""

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from gan.metrics.digits import appearance

UNLABELED = -1


@dataclass(frozen=True)
class Seen:
    """N images as the measures see them, on the CPU: features float64 [N, D], logits [N, K], appearance [N, 3].

    `labels` are int64 [N], or None when not every image had one.
    """

    features: Tensor
    logits: Tensor
    appearance: Tensor
    labels: Tensor | None

    def __len__(self) -> int:
        return len(self.features)

    @property
    def digits(self) -> Tensor:
        """The classes read: int64 [N]."""
        return self.logits.argmax(1)


class Samples:
    """A growing set of images, of which only what the measures need is kept.

    Args:
        extractor: of `gan.metrics.build_extractor`.
        looks: whether the images' appearance is measured as well, zeros otherwise.
    """

    def __init__(self, extractor: nn.Module, looks: bool = False) -> None:
        self.extractor = extractor
        self.looks = looks
        self.clear()

    def clear(self) -> None:
        """Forgets all images."""
        self._rows: list[Tensor] = []
        self._num_features = 0
        self._all: Seen | None = None

    def add(self, images: Tensor, labels: Tensor | None = None) -> None:
        """Runs the extractor over uint8 images [N, C, 28, 28], with int64 labels [N] where there are any."""
        self._all = None
        if not len(images):
            return
        device = next(self.extractor.parameters()).device
        if labels is None:
            labels = torch.full((len(images),), UNLABELED)
        size = self.extractor.chunk_size
        for part, told in zip(images.split(size), labels.split(size), strict=True):
            part = part.to(device)
            features, logits = self.extractor(part)
            looks = appearance(part) if self.looks else features.new_zeros(len(part), 3)
            self._num_features = features.shape[1]
            # One table, so that ranks exchange one tensor; classes up to 1,000 are exact in float32.
            told = told.to(device, torch.float32).unsqueeze(1)
            self._rows.append(torch.cat([features, told, looks, logits], dim=1))

    def all(self) -> Seen:
        """What was seen on all ranks, in the order of the ranks; every rank must ask."""
        if self._all is None:
            rows, width = torch.cat(self._rows) if self._rows else torch.empty(0, 0), self._num_features
            if _several_ranks():
                rows, width = _gathered(rows, width)
            features, told, looks, logits = rows.cpu().tensor_split([width, width + 1, width + 4], dim=1)
            labeled = len(told) > 0 and bool((told != UNLABELED).all())
            labels = told[:, 0].long() if labeled else None
            self._all = Seen(features.double(), logits, looks, labels)
        return self._all


def is_first_rank() -> bool:
    """Whether this process is the only one or the first of several."""
    return not _several_ranks() or dist.get_rank() == 0


def from_first_rank(value: object) -> object:
    """The first rank's value, on all ranks; every rank must ask."""
    if not _several_ranks():
        return value
    holder = [value]
    dist.broadcast_object_list(holder, device=_exchange_device())
    return holder[0]


def _several_ranks() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def _exchange_device() -> torch.device:
    # NCCL can't exchange what is on the CPU, gloo can.
    return torch.device("cpu" if "gloo" in dist.get_backend() else "cuda")


def _gathered(rows: Tensor, width: int) -> tuple[Tensor, int]:
    from torchmetrics.utilities.distributed import gather_all_tensors

    device = _exchange_device()
    # A rank without images doesn't know how wide the features are.
    widest = torch.tensor(width, device=device)
    dist.all_reduce(widest, dist.ReduceOp.MAX)
    shares = [share for share in gather_all_tensors(rows.to(device)) if len(share)]
    return torch.cat(shares) if shares else rows, int(widest)
