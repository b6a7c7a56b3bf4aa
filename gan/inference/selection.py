"""Draws digits on demand from a model that takes no labels: candidates are drawn, and kept where they read as asked."""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn

from gan.errors import UserError

MAX_CHUNKS = 100


def select(candidates: Callable[[int], Tensor], labels: Tensor, skip: int) -> Tensor:
    """The first candidate that the project's extractor reads as labels[0], and so on; none is taken twice.

    Args:
        candidates: from 0, 1, ... to chunks of images uint8 [N, C, 28, 28]. At most MAX_CHUNKS are asked for.
        labels: int64 [M], the digits wanted.
        skip: images that only count: the first `skip` of the M are not returned.

    Returns:
        uint8 [M - skip, C, 28, 28]; an image does not depend on the labels after it.

    Raises:
        UserError: candidates that read as a digit are too few.
    """
    ranks = (labels == labels.unsqueeze(1)).tril(-1).sum(1)
    chosen: dict[int, Tensor] = {}
    seen: dict[int, int] = dict.fromkeys(labels.tolist(), 0)
    for chunk in range(MAX_CHUNKS):
        images = candidates(chunk)
        digits = _extractor()(images)[1].argmax(1)
        for label, before in seen.items():
            found = images[digits == label]
            for index in (labels == label).nonzero().flatten().tolist():
                if before <= ranks[index] < before + len(found):
                    chosen[index] = found[ranks[index] - before]
            seen[label] += len(found)
        if all(index in chosen for index in range(skip, len(labels))):
            return torch.stack([chosen[index] for index in range(skip, len(labels))])
    rare = sorted({int(labels[index]) for index in range(skip, len(labels)) if index not in chosen})
    counts = ", ".join(f"{seen[digit]} as {digit}" for digit in rare)
    drawn = MAX_CHUNKS * len(images)
    raise UserError(f"digits={rare}, select=classifier: too rare for this model; of {drawn:,} images it read {counts}")


@cache
def _extractor() -> nn.Module:
    from gan.metrics import build_extractor  # brings torchmetrics along

    return build_extractor("mnist")
