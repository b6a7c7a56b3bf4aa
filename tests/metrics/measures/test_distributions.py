"""Closed forms of FID, KID and the inception score."""

import math
import statistics

import pytest
import torch
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance

from gan.errors import UserError
from gan.metrics import build_measures
from gan.metrics.bootstrap import Resamples
from gan.metrics.features import ImageFeatures
from gan.metrics.measures import distributions
from gan.metrics.measures.base import Comparison
from gan.metrics.measures.distributions import Gaussian, InceptionScore, KernelDistance


class Flat(nn.Identity):
    """Hands features on to torchmetrics."""

    num_features = 8


@pytest.fixture
def features():
    return torch.randn(300, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def kernel_distance(computed):
    """A function from two sets of features to the mean and the spread of KID."""
    return lambda real, generated, subsets, subset_size, seed: tuple(
        computed(KernelDistance(subsets, subset_size), real, generated, seed=seed).values()
    )


@pytest.fixture
def inception_score(computed):
    """A function from logits to the mean and the spread of IS."""
    return lambda logits, splits, seed: tuple(computed(InceptionScore(splits), logits=logits, seed=seed).values())


def frechet_distance(real, generated):
    return distributions.frechet_distance(Gaussian.of(real), Gaussian.of(generated))


def test_fid_of_shifted_and_scaled_features(features):
    shift = torch.arange(8, dtype=torch.float64) / 4
    assert frechet_distance(features, features + shift) == pytest.approx(shift.square().sum().item(), abs=1e-6)
    centered = features - features.mean(0)
    expected = 0.25 * torch.cov(centered.T).trace().item()
    assert frechet_distance(centered, 1.5 * centered) == pytest.approx(expected, abs=1e-6)


def test_fid_of_a_set_and_itself(features):
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(features[:3], features[:3]) == pytest.approx(0, abs=1e-6)


def test_fid_is_symmetric(features):
    other = features.square()
    assert frechet_distance(features, other) == pytest.approx(frechet_distance(other, features))


def test_fid_is_torchmetrics_to_the_bit(features):
    metric = FrechetInceptionDistance(Flat())
    other = features[:257].square()
    metric.update(features, real=True)
    metric.update(other, real=False)
    assert frechet_distance(features, other) == metric.compute().item()


def test_fid_of_ten_images_repeated_many_times():
    labels = torch.arange(100) % 10
    columns = (torch.arange(28) % (labels[:, None] + 2) == 0).double()
    real = torch.cat([columns, columns.mean(1, keepdim=True).expand(-1, 28)], dim=1)
    generated = 0.05 * torch.rand(100, 56, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    nearly_real = real + 1e-6 * generated  # one on which the unsymmetric eigenvalue solver converges
    expected = frechet_distance(nearly_real, generated)
    assert frechet_distance(real, generated) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("count", [5, 300])
def test_a_gpu_takes_the_root_another_way(features, count):
    real, generated = Gaussian.of(features[:count]), Gaussian.of(features[:count].square())
    torch.testing.assert_close(real.factor @ real.factor.T, real.covariance)
    expected = distributions.root_trace(real, generated)
    torch.testing.assert_close(distributions.symmetric_root_trace(real, generated), expected, rtol=0, atol=1e-6)


def test_kid_of_whole_sets_is_the_unbiased_estimate(features, kernel_distance):
    real, generated = features[:100], features[100:200] * 2 + 1

    def kernel(first, second):
        return (first @ second.T / 8 + 1) ** 3

    within = sum(kernel(part, part).fill_diagonal_(0).sum() for part in (real, generated)) / (100 * 99)
    expected = (within - 2 * kernel(real, generated).mean()).item()
    found = kernel_distance(real, generated, subsets=3, subset_size=100, seed=0)
    assert found == (pytest.approx(expected, rel=1e-4),)  # no spread: all subsets are the same


def test_kid_of_one_distribution_is_around_zero(features, kernel_distance):
    mean, spread = kernel_distance(features[:150], features[150:], subsets=50, subset_size=100, seed=0)
    assert abs(mean) < 3 * spread


def test_score_of_certain_balanced_and_of_uncertain_logits(inception_score):
    certain = torch.eye(10).repeat(100, 1) * 1e4
    # A random split isn't quite balanced.
    mean, spread = inception_score(certain, splits=2, seed=0)
    assert mean == pytest.approx(10, abs=0.2)
    assert spread < 0.2
    assert inception_score(torch.zeros(100, 10), splits=2, seed=0) == pytest.approx((1, 0))


def test_splits_of_the_score_are_of_one_size(inception_score):
    mean, _ = inception_score(torch.eye(21) * 1e4, splits=10, seed=0)  # n images of n classes have the score n
    assert mean == pytest.approx(2)


def test_the_interval_of_the_score_covers_its_random_splits():
    labels = torch.arange(500) % 10
    score, values, errors = InceptionScore(), [], []
    for seed in range(40):
        noise = torch.randn(500, 10, generator=torch.Generator().manual_seed(seed))
        logits = 8 * nn.functional.one_hot(labels, 10) + noise
        images = ImageFeatures(logits.double(), logits, torch.zeros(500, 3), labels)
        sets = Comparison(images, images, images, seed)
        values.append(score.compute(sets)["is"])
        errors.append(score.resampled(sets, Resamples(seed, 500, labels))["is"].std().item())
    assert statistics.fmean(errors) == pytest.approx(statistics.stdev(values), rel=0.4)


@pytest.mark.parametrize("scale", [0, 1, 1e3, 1e30])
def test_score_is_never_nan(scale, inception_score):
    logits = torch.randn(20, 1000, generator=torch.Generator().manual_seed(0)) * scale
    mean, spread = inception_score(logits, splits=10, seed=0)
    assert 1 - 1e-9 <= mean <= 1000
    assert math.isfinite(spread)


def test_draws_come_from_the_seed_and_not_from_the_order(features, kernel_distance, inception_score):
    shuffled = features[torch.randperm(300, generator=torch.Generator().manual_seed(1))]
    state = torch.get_rng_state()
    for measure in (
        lambda rows, seed: kernel_distance(rows, features + 1, 5, 50, seed),
        lambda rows, seed: inception_score(rows, 10, seed),
    ):
        assert measure(features, 0) == measure(shuffled, 0)
        assert measure(features, 0) != measure(features, 1)
    assert torch.equal(torch.get_rng_state(), state)


def test_measures_of_a_validation_seed_no_gpu(sets, collected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("the GPUs were seeded"))
    measures = collected(["fid", "is", KernelDistance(2, 100)], sets.held_out[:200], sets.generated[:200])
    assert measures.compute().keys() >= {"fid", "is", "kid"}


@pytest.mark.parametrize(
    ("name", "wrong", "key"),
    [
        ("is", {"splits": 1}, "is_splits"),
        ("kid", {"subsets": 0}, "kid_subsets"),
        ("kid", {"subset_size": 1}, "kid_subset_size"),
    ],
)
def test_impossible_settings(extractor, name, wrong, key):
    with pytest.raises(UserError, match=f"^{key}="):
        build_measures([name], extractor, {name: wrong})
