"""Confidence intervals by the bootstrap: how far a value would be off if other images had been drawn.

No measure is computed again: each says what it is for all resamples at once (`Measure.resampled`), by means over them.
"""

import math
from functools import cached_property

import torch
from torch import Tensor

from gan.randomness import derive_seed

Interval = tuple[float, float]


class Resamples:
    """Random resamples of `generated` images, drawn with replacement: the same ones for all measures.

    There are R = 500 of them, and fewer, down to 200, of more than 10,000 images. Images with labels are drawn again
    class by class: how often each digit comes was not left to chance.
    """

    def __init__(self, seed: int, generated: int, labels: Tensor | None) -> None:
        self.seed = seed
        self._labels = torch.zeros(generated, dtype=torch.int64) if labels is None else labels.cpu()
        self._of_size: dict[int, Tensor] = {}

    @cached_property
    def generated_counts(self) -> Tensor:
        """How often each generated image is in each resample: float64 [R, N] on the CPU."""
        return self._counts([(self._labels == label).nonzero()[:, 0] for label in self._labels.unique()])

    def generated_means(self, rows: Tensor) -> Tensor:
        """The means of rows [N] or [N, K], of all generated images, in each resample: float64 [R] or [R, K]."""
        return self.generated_counts @ rows.cpu().double() / len(rows)

    def means(self, rows: Tensor) -> Tensor:
        """The same for rows of other images: of real ones, or of those of one class."""
        size = len(rows)
        if size not in self._of_size:
            self._of_size[size] = self._counts([torch.arange(size)])
        return self._of_size[size] @ rows.cpu().double() / size

    def _counts(self, groups: list[Tensor]) -> Tensor:
        size = sum(map(len, groups))
        resamples = min(500, max(200, 5_000_000 // size))
        generator = torch.Generator().manual_seed(derive_seed(self.seed, size))
        chosen = torch.cat([g[torch.randint(len(g), (resamples, len(g)), generator=generator)] for g in groups], dim=1)
        places = chosen + size * torch.arange(resamples).unsqueeze(1)
        return torch.bincount(places.flatten(), minlength=places.numel()).view_as(chosen).double()


def interval(value: float, resampled: Tensor, confidence: float, bounds: Interval = (-math.inf, math.inf)) -> Interval:
    """The interval of a value within its bounds, from the values of resamples: float64 [R]."""
    # The bias of the resamples is subtracted: they have fewer different images, which alone raises a distance.
    tail = (1 - confidence) / 2
    low, high = torch.quantile(resampled - resampled.mean(), resampled.new_tensor([tail, 1 - tail])).tolist()
    return max(value + low, bounds[0]), min(value + high, bounds[1])
