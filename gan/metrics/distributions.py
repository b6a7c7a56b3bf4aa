"""Distances between two sets of features, and the score of one set of logits, with torchmetrics underneath.

The images are not what torchmetrics gets to see but their features, already extracted, through an extractor that hands
on what it is given: one forward pass serves all measures. Random draws come from a seed and leave the global generator
as it was.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from gan.randomness import derive_seed

MAX_SURPRISE = 100.0


class _Given(nn.Identity):
    """An extractor of features that are there already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features


def frechet_distance(real: Tensor, generated: Tensor) -> float:
    """FID: |m - m'|^2 + tr(S + S' - 2 (S S')^(1/2)) of the features' means and covariances (Heusel et al. 2017).

    0 for identical sets. Biased upwards, more so for fewer samples: compare at equal numbers only.

    Args:
        real: float64 [N, D], N at least 2; above D for a covariance of full rank.
        generated: float64 [M, D], likewise.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(_Given(real.shape[1]), sync_on_compute=False)
    metric.update(real, real=True)
    metric.update(generated, real=False)
    # Of nearly equal covariances the difference can come out below 0 by a rounding error.
    return max(0.0, metric.compute().item())


def kernel_distance(real: Tensor, generated: Tensor, subsets: int, subset_size: int, seed: int) -> tuple[float, float]:
    """KID: the unbiased MMD^2 with the kernel (x.y / D + 1)^3, mean and spread over subsets (Binkowski et al. 2018).

    Around 0 for sets of one distribution, on either side of it; the spread is over subsets, not over training runs.

    Args:
        real: float64 [N, D], N at least `subset_size`.
        generated: float64 [M, D], M at least `subset_size`.
        subsets: number of random draws.
        subset_size: images of each set in a draw.
        seed: of the draws.
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    with _seeded(seed):
        metric = KernelInceptionDistance(
            _Given(real.shape[1]), subsets=subsets, subset_size=subset_size, sync_on_compute=False
        )
        # Single precision is enough for means over a million kernel values, at half the time.
        metric.update(_ordered(real).float(), real=True)
        metric.update(_ordered(generated).float(), real=False)
        mean, spread = metric.compute()
    return mean.item(), spread.item()


def inception_score(logits: Tensor, splits: int, seed: int) -> tuple[float, float]:
    """IS: exp E_x KL(p(y|x) || p(y)), mean and spread over random splits (Salimans et al. 2016); 1 to K.

    Args:
        logits: float [N, K], N at least `splits`.
        splits: at least 2, without which there is no spread.
        seed: of the splits.
    """
    from torchmetrics.image.inception import InceptionScore

    # A probability that underflows to 0 for a whole split would make 0 * log 0 of it, which is NaN.
    surprises = _ordered(logits).double().log_softmax(1).clamp_min(-MAX_SURPRISE)
    with _seeded(seed):
        metric = InceptionScore(_Given(logits.shape[1]), splits=splits, sync_on_compute=False)
        metric.update(surprises)
        mean, spread = metric.compute()
    return mean.item(), spread.item()


def _ordered(rows: Tensor) -> Tensor:
    # In an order of their own, so that a seed's draws don't depend on the batches or ranks the rows came from.
    return rows[rows[:, 0].argsort(stable=True)]


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # Both metrics warn that they keep all features, which here are kept anyway.
        warnings.filterwarnings("ignore", message="Metric .* will save all extracted features")
        torch.manual_seed(derive_seed(seed))
        yield
