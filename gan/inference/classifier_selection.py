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

    No sample is used twice, and an image does not depend on the labels after it. The images of the first `skip` labels
    are left out. A UserError if too few samples of `MAX_CHUNKS` chunks show a requested digit.
    """
    digits, samples = labels.tolist(), 0
    found: dict[int, list[Tensor]] = {digit: [] for digit in digits}
    rare: list[int] = []
    for images in islice(chunks, MAX_CHUNKS):
        samples += len(images)
        recognized = classifier()(images)[1].argmax(1)
        for digit, kept in found.items():
            kept.extend(images[recognized == digit])
        rare = sorted(digit for digit in set(digits[skip:]) if len(found[digit]) < digits.count(digit))
        if not rare:
            ranks = (labels == labels.unsqueeze(1)).tril(-1).sum(1).tolist()
            return torch.stack([found[digits[index]][ranks[index]] for index in range(skip, len(digits))])
    counts = ", ".join(f"{len(found[digit])} as {digit}" for digit in rare)
    raise UserError(
        f"digits={rare}, select=classifier: too rare for this model; of {samples:,} samples, "
        f"the classifier recognized {counts}"
    )


@cache
def classifier() -> nn.Module:
    from gan.metrics import build_extractor  # with all measures, which few commands need

    return build_extractor("mnist")
