"""Requested digits from an unconditional model: samples are kept if a classifier recognizes the requested digit."""

from collections.abc import Iterator
from functools import cache
from itertools import islice

import torch
from torch import Tensor, nn

from gan.errors import UserError

MAX_CHUNKS = 100


def select_by_classifier(chunks: Iterator[Tensor], labels: Tensor, skip: int) -> Tensor:
    """The first sample that the project's MNIST classifier recognizes as labels[0], the next one for labels[1], ...

    No sample is used twice, and an image does not depend on the labels after it.

    Args:
        chunks: samples in chunks of one size, uint8 [N, C, 28, 28]. At most MAX_CHUNKS are taken.
        labels: int64 [M], the requested digits.
        skip: number of labels at the start whose images are found but not returned.

    Returns:
        uint8 [M - skip, C, 28, 28].

    Raises:
        UserError: too few samples show a requested digit.
    """
    ranks = (labels == labels.unsqueeze(1)).tril(-1).sum(1)
    chosen: dict[int, Tensor] = {}
    seen: dict[int, int] = dict.fromkeys(labels.tolist(), 0)
    samples = 0
    for images in islice(chunks, MAX_CHUNKS):
        samples += len(images)
        recognized = classifier()(images)[1].argmax(1)
        for label, before in seen.items():
            found = images[recognized == label]
            for index in (labels == label).nonzero().flatten().tolist():
                if before <= ranks[index] < before + len(found):
                    chosen[index] = found[ranks[index] - before]
            seen[label] += len(found)
        if all(index in chosen for index in range(skip, len(labels))):
            return torch.stack([chosen[index] for index in range(skip, len(labels))])
    rare = sorted({int(labels[index]) for index in range(skip, len(labels)) if index not in chosen})
    counts = ", ".join(f"{seen[digit]} as {digit}" for digit in rare)
    raise UserError(
        f"digits={rare}, select=classifier: too rare for this model; of {samples:,} samples, "
        f"the classifier recognized {counts}"
    )


@cache
def classifier() -> nn.Module:
    from gan.metrics import build_extractor  # imports torchmetrics, which takes a while

    return build_extractor("mnist")
