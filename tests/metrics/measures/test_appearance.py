"""The look of a set of images."""

import pytest
import torch

from gan.metrics.features import appearance
from gan.metrics.measures.appearance import quality


def test_quality_is_that_of_all_pixels():
    images = torch.randint(0, 256, (50, 3, 28, 28), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    images[25:] //= 4
    pixels = images.double() / 255
    looks = quality(appearance(images))
    assert looks["mean"] == pytest.approx(pixels.mean().item())
    assert looks["std"] == pytest.approx(pixels.std(correction=0).item())
    assert looks["contrast"] == pytest.approx(pixels.flatten(1).std(1, correction=0).mean().item())
    assert looks["contrast"] < looks["std"]
