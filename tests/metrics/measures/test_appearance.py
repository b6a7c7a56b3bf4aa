"""Closed forms of brightness, contrast and sharpness."""

import pytest
import torch

from gan.metrics.measures.appearance import appearance, quality


def test_appearance_of_a_flat_image():
    assert appearance(torch.full((2, 1, 28, 28), 51, dtype=torch.uint8)).tolist() == [pytest.approx([0.2, 0, 0])] * 2


def test_appearance_of_an_edge():
    images = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    images[..., 14:] = 255
    # One of the 27 differences in a row is 1.
    assert appearance(images)[0].tolist() == pytest.approx([0.5, 0.5, 1 / 27])


def test_quality_is_that_of_all_pixels():
    images = torch.randint(0, 256, (50, 3, 28, 28), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    images[25:] //= 4
    pixels = images.double() / 255
    looks = quality(appearance(images))
    assert looks["mean"] == pytest.approx(pixels.mean().item())
    assert looks["std"] == pytest.approx(pixels.std(correction=0).item())
    assert looks["contrast"] == pytest.approx(pixels.flatten(1).std(1, correction=0).mean().item())
    assert looks["contrast"] < looks["std"]
