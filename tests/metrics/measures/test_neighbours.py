"""Measures of nearest neighbours against their definitions, written out for small sets."""

import pytest
import torch

from gan.metrics.measures import neighbours
from gan.metrics.measures.neighbours import Coverage, Density, Precision, Recall, nearest, radii


@pytest.fixture(params=[50, 4_000_000], ids=["chunks", "whole"])
def clouds(request, monkeypatch):
    monkeypatch.setattr(neighbours, "CHUNK_ELEMENTS", request.param)
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(40, 3, dtype=torch.float64, generator=generator) + shift for shift in (0, 0.7)]


@pytest.fixture
def three(computed):
    """A function from real and generated features to precision, recall and coverage."""
    kinds = {"precision": Precision, "recall": Recall, "coverage": Coverage}
    return lambda real, generated: tuple(computed(kind(), real, generated)[name] for name, kind in kinds.items())


def test_against_the_definitions(clouds, three):
    real, generated = clouds
    between = torch.cdist(real, generated)
    own = [torch.cdist(cloud, cloud).sort(dim=1).values for cloud in clouds]
    assert torch.allclose(radii(real, 3, 5)[1].sqrt(), own[0][:, 5])
    assert three(real, generated) == (
        (between <= own[0][:, 3, None]).any(0).double().mean().item(),
        (between <= own[1][:, 3]).any(1).double().mean().item(),
        (between.amin(1) < own[0][:, 5]).double().mean().item(),
    )


def test_density_against_its_definition(clouds, computed):
    real, generated = clouds
    balls = torch.cdist(real, real).sort(dim=1).values[:, 5, None]
    inside = torch.cdist(real, generated) < balls
    assert computed(Density(), real, generated) == {"density": pytest.approx(inside.double().sum(0).mean().item() / 5)}
    assert computed(Density(), real, generated + 100) == {"density": 0}
    # Where real images are densest an image is in many balls; precision counts it once.
    assert computed(Density(), real, real.mean(0, keepdim=True).repeat(40, 1))["density"] > 1


def test_far_apart_nothing_is_precise(clouds, three):
    assert three(clouds[0], clouds[1] + 100) == (0, 0, 0)


def test_one_good_image_again_and_again_is_precise_but_recalls_nothing(clouds, three):
    precision, recall, coverage = three(clouds[0], clouds[0][:1].repeat(40, 1))
    assert precision == 1
    assert recall <= 1 / 40
    assert coverage < 0.5


def test_copies_are_at_no_distance(clouds, computed):
    """By the definitions, not by how the distance of an image to itself is rounded."""
    generator = torch.Generator().manual_seed(0)
    real, generated = (clouds[0][torch.randperm(60, generator=generator) % 10] for _ in range(2))
    assert torch.equal(nearest(generated, real)[0], torch.zeros(60, 1, dtype=torch.float64))
    values = [computed(kind(), real, generated) for kind in (Precision, Recall, Density, Coverage)]
    assert values == [{"precision": 1}, {"recall": 1}, {"density": 0}, {"coverage": 0}]  # the last two of open balls


def test_nearest(clouds):
    distances, indices = nearest(*clouds, count=3)
    expected = torch.cdist(*clouds).sort(dim=1)
    assert torch.allclose(distances, expected.values[:, :3])
    assert torch.equal(indices, expected.indices[:, :3])
