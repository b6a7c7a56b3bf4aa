"""Nearest neighbours in feature space: precision, recall, density and coverage.

Distances are Euclidean. The measures change with the sizes of the sets: compare at equal sizes only.
"""

import math
from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import threshold

from gan.metrics.features import ImageFeatures
from gan.metrics.measures.base import Comparison, MeanMeasure

CHUNK_ELEMENTS = 4_000_000
PRECISION_K = 3
COVERAGE_K = 5
ROUNDING = 1e-6  # a distance below this part of the longest feature vector is none


class _Neighbours(MeanMeasure):
    bounds: ClassVar[tuple[float, float]] = (0, 1)
    in_feature_space = True
    least_real = COVERAGE_K + 1
    least_generated = PRECISION_K + 1

    def enough(self, num_features: int, num_classes: int) -> tuple[int, int]:
        return 100 * COVERAGE_K, 100 * PRECISION_K  # the k-th neighbour is among the nearest hundredth

    def of_each(self, sets: Comparison) -> dict[str, Tensor]:
        # Resamples draw these again. The balls are always those of all images.
        return {self.name: sets.generated.once(_of_each_image, sets.generated, sets.real)[self.name]}


class Precision(_Neighbours):
    """The share of generated samples within the 3rd-neighbour ball of some real one (Kynkaanniemi et al. 2019)."""

    name = "precision"
    values = {"precision": "higher"}
    over_generated = True


class Recall(_Neighbours):
    """The share of real samples within the 3rd-neighbour ball of some generated one (Kynkaanniemi et al. 2019)."""

    name = "recall"
    values = {"recall": "higher"}


class Density(_Neighbours):
    """How many 5th-neighbour balls of real samples a generated one is in, over 5 (Naeem et al. 2020); real: about 1."""

    name = "density"
    values = {"density": "higher"}
    over_generated = True
    bounds = (0, math.inf)


class Coverage(_Neighbours):
    """The share of real samples with a generated one in their own 5th-neighbour ball (Naeem et al. 2020)."""

    name = "coverage"
    values = {"coverage": "higher"}


def squared_distances(rows: Tensor, columns: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Squared distances between float64 [N, D] and [M, D]: some rows at a time, their slice and float64 [rows, M].

    Those of equal rows are 0: what rounding alone can make is cut off, see `ROUNDING`.
    """
    longest = max(part.square().sum(1).amax().item() for part in (rows, columns))
    # Around a common center the expansion |x|^2 - 2 x.y + |y|^2 loses the fewest digits.
    center = columns.mean(0)
    rows, columns = rows - center, columns - center
    norms, size = columns.square().sum(1), max(1, CHUNK_ELEMENTS // len(columns))
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        squared = torch.addmm(norms.unsqueeze(0), part, columns.T, alpha=-2)
        squared.add_(part.square().sum(1, keepdim=True))
        yield slice(start, start + len(part)), threshold(squared, ROUNDING**2 * longest, 0, inplace=True)


def radii(features: Tensor, *ks: int) -> list[Tensor]:
    """For each k < N the squared distances of samples, float64 [N, D], to their k-th nearest others: float64 [N]."""
    squared = [part.topk(max(ks) + 1, largest=False).values for _, part in squared_distances(features, features)]
    return [torch.cat(squared)[:, k] for k in ks]  # the nearest of all is the sample itself


def nearest(features: Tensor, reference: Tensor, count: int = 1) -> tuple[Tensor, Tensor]:
    """The rows of a reference, float64 [M, D], nearest to each of features, [N, D]: distances, indices [N, count]."""
    found = [part.topk(count, largest=False) for _, part in squared_distances(features, reference)]
    return torch.cat([part.values for part in found]).sqrt(), torch.cat([part.indices for part in found])


def _of_each_image(generated: ImageFeatures, real: ImageFeatures) -> dict[str, Tensor]:
    """What the measures are means of, for each generated sample; recall and coverage for each real one."""
    real_radii = real.once(radii, real.features, PRECISION_K, COVERAGE_K)
    (generated_radii,) = radii(generated.features, PRECISION_K)
    precise = torch.zeros(len(generated), dtype=torch.bool, device=generated.features.device)
    balls = torch.zeros(len(generated), dtype=torch.int64, device=generated.features.device)
    recalled, covered = precise.new_zeros(2, len(real))
    for place, squared in squared_distances(real.features, generated.features):
        precise |= (squared <= real_radii[0][place, None]).any(0)
        balls += (squared < real_radii[1][place, None]).sum(0)
        recalled[place] = (squared <= generated_radii).any(1)
        covered[place] = squared.amin(1) < real_radii[1][place]
    return {"precision": precise, "recall": recalled, "density": balls / COVERAGE_K, "coverage": covered}
