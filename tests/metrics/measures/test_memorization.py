"""Memorization of distances with a known distribution."""

import pytest
import torch

from gan.metrics.measures.memorization import Memorization


def test_memorization_of_new_and_of_copied_images(computed):
    def memorization(generated, held_out):
        # The one training image is at 0, so that a feature is its distance.
        training = torch.zeros(1, 1, dtype=torch.float64)
        return tuple(computed(Memorization(), held_out[:, None], generated[:, None], training).values())

    generator = torch.Generator().manual_seed(0)
    new, held_out = torch.rand(2, 10_000, dtype=torch.float64, generator=generator) + 1
    ratio, share = memorization(new, held_out)
    assert ratio == pytest.approx(1, abs=0.02)
    assert share == pytest.approx(0.01, abs=0.005)
    copies = torch.cat([torch.zeros(1000, dtype=torch.float64), new[1000:]])
    assert memorization(copies, held_out)[1] == pytest.approx(0.109, abs=0.005)
    assert memorization(torch.zeros(10, dtype=torch.float64), held_out) == (0, 1)


@pytest.mark.parametrize(("shared", "told"), [(5, {"memorization_ratio"}), (100, set())])
def test_held_out_images_that_are_training_images_tell_nothing(computed, shared, told):
    """Of 100 held-out images. Before, the ratio was 1e307 and the share 0."""
    generator = torch.Generator().manual_seed(0)
    training, held_out, generated = 10 + torch.randn(3, 100, 8, dtype=torch.float64, generator=generator)
    held_out = torch.cat([training[:shared], held_out[shared:]])
    assert computed(Memorization(), held_out, generated, training).keys() == told
