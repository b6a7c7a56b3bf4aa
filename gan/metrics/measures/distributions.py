"""Distances between two distributions of features, and the score of a distribution of logits."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import Identity

from gan.config.allowed import COUNT, Number
from gan.metrics.bootstrap import Resamples
from gan.metrics.measures.base import Comparison, Measure
from gan.randomness import derive_seed

MAX_SURPRISE = 100.0
KERNEL_SAMPLE = 2000


@dataclass(frozen=True)
class Gaussian:
    """Mean float64 [D] and covariance float64 [D, D] of a set of features."""

    mean: Tensor
    covariance: Tensor

    @classmethod
    def of(cls, features: Tensor) -> "Gaussian":
        """That of features, float64 [N, D], N at least 2; above D for a covariance of full rank."""
        count = len(features)
        mean = (features.sum(0) / count).unsqueeze(0)
        scatter = features.t().mm(features) - count * mean.t().mm(mean)
        return cls(mean.squeeze(0), scatter / (count - 1))

    @cached_property
    def factor(self) -> Tensor:
        """A matrix F with F F^T = covariance."""
        variances, directions = torch.linalg.eigh(self.covariance)
        return directions * variances.clamp_min(0).sqrt()


def frechet_distance(real: Gaussian, generated: Gaussian) -> float:
    """FID: |m - m'|^2 + tr(S + S' - 2 (S S')^(1/2)) of means and covariances (Heusel et al. 2017).

    0 for identical sets. Biased upwards, more so for fewer samples: compare at equal numbers only.
    """
    shift = (real.mean - generated.mean).square().sum()
    spread = real.covariance.trace() + generated.covariance.trace()
    overlap = (symmetric_root_trace if spread.is_cuda else root_trace)(real, generated)
    # Rounding can make the distance of nearly equal covariances negative.
    return max(0.0, (shift + spread - 2 * overlap).item())


def root_trace(real: Gaussian, generated: Gaussian) -> Tensor:
    """tr (S S')^(1/2) as torchmetrics computes it."""
    try:
        return torch.linalg.eigvals(real.covariance @ generated.covariance).sqrt().real.sum()
    except torch.linalg.LinAlgError:  # no convergence, as for a few images repeated many times
        return symmetric_root_trace(real, generated)


def symmetric_root_trace(real: Gaussian, generated: Gaussian) -> Tensor:
    """The same from F^T S' F, which has the eigenvalues of S S' and is symmetric: GPUs have a fast solver for that."""
    return torch.linalg.eigvalsh(real.factor.T @ generated.covariance @ real.factor).clamp_min(0).sqrt().sum()


def frechet_influence(real: Gaussian, generated: Gaussian, features: Tensor) -> Tensor:
    """How much each generated image raises the FID: float64 [N], the derivative by its weight, up to a constant."""
    # The derivative of tr (F^T S' F)^(1/2) by S' is T / 2 with T = F (F^T S' F)^(-1/2) F^T, and S = F F^T.
    squares, directions = torch.linalg.eigh(real.factor.T @ generated.covariance @ real.factor)
    smallest = squares[-1] * len(squares) * torch.finfo(squares.dtype).eps
    inverse_root = squares.clamp_min(smallest).rsqrt().where(squares > smallest, 0)
    transport = real.factor @ (directions * inverse_root @ directions.T) @ real.factor.T
    centered = features - generated.mean
    spread = (centered * (centered - centered @ transport)).sum(1)
    return spread + 2 * centered @ (generated.mean - real.mean)


class FrechetDistance(Measure):
    """FID, see `frechet_distance`."""

    name = "fid"
    values = {"fid": "lower"}
    bounds = (0, math.inf)
    in_feature_space = True
    least_real = least_generated = 2

    def enough(self, num_features: int, num_classes: int) -> tuple[int, int]:
        return num_features + 1, num_features + 1  # the covariance of fewer is singular

    def compute(self, sets: Comparison) -> dict[str, float]:
        return {"fid": frechet_distance(*self._gaussians(sets))}

    def resampled(self, sets: Comparison, resamples: Resamples) -> dict[str, Tensor]:
        return {"fid": resamples.generated_means(frechet_influence(*self._gaussians(sets), sets.generated.features))}

    def _gaussians(self, sets: Comparison) -> tuple[Gaussian, Gaussian]:
        real, generated = (images.once(Gaussian.of, images.features) for images in (sets.real, sets.generated))
        return real, generated


class InceptionScore(Measure):
    """IS: exp E_x KL(p(y|x) || p(y)), mean and spread over 2 or more equal random splits (Salimans et al. 2016)."""

    name = "is"
    values = {"is": "higher", "is_std": None}
    bounds = (1, math.inf)
    in_feature_space = True

    def __init__(self, splits: int = 10) -> None:
        Number(least=2, whole=True).require("is_splits", splits)
        self.splits, self.least_generated = splits, 10 * splits

    def enough(self, num_features: int, num_classes: int) -> tuple[int, int]:
        return 0, self.splits * (num_classes + 1)  # each split has room for every class

    def compute(self, sets: Comparison) -> dict[str, float]:
        return sets.generated.once(self._mean_and_spread, sets)

    def resampled(self, sets: Comparison, resamples: Resamples) -> dict[str, Tensor]:
        # Chance decides which images share a split. Of few images that moves the mean more than the images themselves.
        return {"is": self.compute(sets)["is_std"] / self.splits**0.5 * _students_t(self.splits, sets.seed, resamples)}

    def _mean_and_spread(self, sets: Comparison) -> dict[str, float]:
        from torchmetrics.image.inception import InceptionScore

        # A probability that underflows to 0 in a whole split would give 0 * log 0, which is NaN.
        surprises = _ordered(sets.generated.logits).double().log_softmax(1).clamp_min(-MAX_SURPRISE)
        with _seeded(sets.seed):
            if left_over := len(surprises) % self.splits:  # in a split of their own they would count for more
                surprises = surprises[torch.randperm(len(surprises))[left_over:].to(surprises.device)]
            metric = InceptionScore(Identity(), splits=self.splits, sync_on_compute=False)
            metric.update(surprises)
            mean, spread = metric.compute()
        return {"is": mean.item(), "is_std": spread.item()}


class KernelDistance(Measure):
    """KID: the unbiased MMD^2 with the kernel (x.y / D + 1)^3, mean and spread over subsets (Binkowski et al. 2018).

    Around 0 for sets of one distribution, on either side of it; the spread is over subsets, not over training runs.
    Fewer subsets take less time and vary more. Each has `subset_size` images of either set.
    """

    name = "kid"
    values = {"kid": "lower", "kid_std": None}
    in_feature_space = True

    def __init__(self, subsets: int = 100, subset_size: int = 1000) -> None:
        COUNT.require("kid_subsets", subsets)
        Number(least=2, whole=True).require("kid_subset_size", subset_size)
        self.subsets = subsets
        self.least_real = self.least_generated = self.subset_size = subset_size

    def compute(self, sets: Comparison) -> dict[str, float]:
        return sets.generated.once(self._mean_and_spread, sets)

    def resampled(self, sets: Comparison, resamples: Resamples) -> dict[str, Tensor]:
        of_images = resamples.generated_means(_kernel_influence(sets))
        # The mean over random subsets of the same images has an error of its own.
        error = self.compute(sets).get("kid_std", 0.0) / self.subsets**0.5
        return {"kid": of_images + error * _students_t(self.subsets, sets.seed, resamples)}

    def _mean_and_spread(self, sets: Comparison) -> dict[str, float]:
        from torchmetrics.image.kid import KernelInceptionDistance

        # Single precision is enough for means over a million kernel values, at half the time.
        real = sets.real.once(_ordered, sets.real.features).float()
        generated = _ordered(sets.generated.features).float()
        with _seeded(sets.seed):
            metric = KernelInceptionDistance(
                Identity(), subsets=self.subsets, subset_size=self.subset_size, sync_on_compute=False
            )
            metric.update(real, real=True)
            metric.update(generated, real=False)
            mean, spread = metric.compute()
        if max(len(real), len(generated)) == self.subset_size:  # then all subsets are the same
            return {"kid": mean.item()}
        return {"kid": mean.item(), "kid_std": spread.item()}


def _kernel_influence(sets: Comparison) -> Tensor:
    """How much each generated image raises the KID, estimated from KERNEL_SAMPLE images of each set: float64 [N]."""
    generator = torch.Generator().manual_seed(derive_seed(sets.seed))
    features = sets.generated.features.float()
    near = torch.zeros(len(features), device=features.device)
    for images, sign in ((features, 1), (sets.real.features.float(), -1)):
        chosen = images[torch.randperm(len(images), generator=generator)[:KERNEL_SAMPLE].to(images.device)]
        kernel = (features @ chosen.T).div_(features.shape[1]).add_(1)
        near += sign * (kernel * kernel).mul_(kernel).mean(1)
    return 2 * near.double()


def _students_t(parts: int, seed: int, resamples: Resamples) -> Tensor:
    """The error of a mean for each resample, in standard errors estimated from as many parts: float64 [R]."""
    generator = torch.Generator().manual_seed(derive_seed(seed))
    shape = max(2, parts), len(resamples.generated_counts)
    error, *spread = torch.randn(shape, dtype=torch.float64, generator=generator)
    return error / torch.stack(spread).square().mean(0).sqrt()


def _ordered(rows: Tensor) -> Tensor:
    # The same order whatever batches or ranks the rows came from, so that the seed alone chooses the subsets.
    return rows[rows[:, 0].argsort(stable=True)]


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # Both metrics warn that they keep all features, which are kept here anyway.
        warnings.filterwarnings("ignore", message="Metric .* will save all extracted features")
        torch.default_generator.manual_seed(derive_seed(seed))  # `torch.manual_seed` seeds the GPUs as well
        yield
