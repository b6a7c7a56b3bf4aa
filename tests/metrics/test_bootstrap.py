"""Intervals against what they estimate: the spread over images drawn again."""

import pytest
import torch

from gan.metrics import build_measures
from gan.metrics.bootstrap import Resamples, interval
from gan.metrics.measures.distributions import Gaussian, frechet_distance, frechet_influence


def test_the_interval_of_a_mean_is_the_known_one():
    rows = torch.randn(2000, generator=torch.Generator().manual_seed(0)).double()
    low, high = interval(rows.mean().item(), Resamples(0, 2000, None).generated_means(rows), 0.95)
    expected = 1.96 * rows.std().item() / 2000**0.5
    assert (high - low) / 2 == pytest.approx(expected, rel=0.1)
    wider = interval(rows.mean().item(), Resamples(0, 2000, None).means(rows), 0.99)
    assert wider[0] < low < rows.mean() < high < wider[1]


def test_an_interval_ends_at_the_bounds_of_its_measure():
    rows = torch.tensor([1.0] * 99 + [0.0]).double()
    resampled = Resamples(0, 100, None).generated_means(rows)
    assert interval(0.99, resampled, 0.95)[1] > 1
    assert interval(0.99, resampled, 0.95, (0, 1))[1] == 1
    assert interval(0.001, resampled, 0.95, (0, 1))[0] == 0


def test_a_share_of_labeled_images_keeps_its_classes():
    labels = torch.arange(100) % 4
    resamples = Resamples(0, 100, labels)
    shares = resamples.generated_means((labels == 3).double())
    assert shares.tolist() == [pytest.approx(0.25)] * len(shares)
    assert resamples.means((labels == 3).double()).std() > 0.02
    assert resamples.generated_counts.sum(1).unique().tolist() == [100]


def test_they_come_from_the_seed_alone():
    rows = torch.arange(50.0)
    before = torch.get_rng_state()
    first = Resamples(0, 50, None).generated_means(rows)
    assert torch.equal(Resamples(0, 50, None).generated_means(rows), first)
    assert not torch.equal(Resamples(1, 50, None).generated_means(rows), first)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_influence_on_fid_is_its_derivative():
    generator = torch.Generator().manual_seed(0)
    real, generated = (torch.randn(400, 5, dtype=torch.float64, generator=generator) for _ in range(2))
    generated = generated * torch.tensor([1.0, 1.3, 0.8, 1.0, 1.0]) + 0.3
    size = len(generated)

    def weighted(weights):  # the covariance of Gaussian.of divides by N - 1
        center = weights @ generated / weights.sum()
        centered = generated - center
        return Gaussian(center, (centered * weights[:, None]).T @ centered / weights.sum())

    gaussian, weights = weighted(torch.ones(size).double()), torch.ones(size).double()
    influence = frechet_influence(Gaussian.of(real), gaussian, generated)
    influence = influence - influence.mean()
    for image in (0, 17):
        weights[image] += 1e-3
        slope = (frechet_distance(Gaussian.of(real), weighted(weights)) - _fid(real, gaussian)) / 1e-3
        weights[image] -= 1e-3
        assert slope * size == pytest.approx(influence[image].item(), rel=0.02, abs=1e-3)


def _fid(real, generated):
    return frechet_distance(Gaussian.of(real), generated)


def test_it_is_as_wide_as_the_values_of_other_images_spread(extractor, sets, collected):
    """Of 300 images each, drawn from 1,198; FID and KID are linearized, the others are computed again."""
    chosen = build_measures(["fid", "kid", "is", "precision", "density", "digit_accuracy", "quality"], extractor)
    chosen[1].subsets, chosen[1].subset_size, chosen[1].least_real, chosen[1].least_generated = 20, 200, 200, 200
    measures = collected(chosen, (sets.held_out, sets.held_out_labels))
    images = torch.cat([sets.generated, sets.training])
    generator = torch.Generator().manual_seed(0)
    values, widths = [], []
    for _ in range(12):
        measures.generated.clear()
        measures.generated.add(images[torch.randperm(len(images), generator=generator)[:300]])
        values.append(measures.compute())
        widths.append(measures.intervals(values[-1], 0.95))
    for key in ("fid", "kid", "is", "precision", "density", "mean", "std", "contrast", "sharpness"):
        spread = torch.tensor([value[key] for value in values]).std().item()
        width = sum(high - low for low, high in (of_one[key] for of_one in widths)) / len(widths) / 3.92
        assert 0.5 < width / spread < 2.5, (key, width, spread)
