"""What is kept of a growing set of images."""

import math

import pytest
import torch
from my_gan import EdgeExtractor

from gan.errors import UserError
from gan.metrics.features import FeatureCollector, appearance
from gan.metrics.measures import appearance as looks
from gan.metrics.measures import distributions, neighbours


def test_labels_are_those_of_a_set_in_which_every_image_has_one(sets):
    samples = FeatureCollector(EdgeExtractor())
    samples.add(sets.generated[:3], torch.tensor([5, 0, 9]))
    assert samples.all().labels.tolist() == [5, 0, 9]
    samples.add(sets.generated[3:4])
    assert (len(samples.all()), samples.all().labels) == (4, None)
    samples.clear()
    samples.add(sets.generated[:0])
    assert len(samples.all()) == 0


def test_float_images_and_other_numbers_of_labels_are_refused(sets):
    with pytest.raises(UserError, match=r"uint8 in 0\.\.255, not torch\.float32"):
        FeatureCollector(EdgeExtractor()).add(sets.generated[:3] / 255)  # they would be nearly black
    with pytest.raises(UserError, match="not 4 for 3 images"):
        FeatureCollector(EdgeExtractor()).add(sets.generated[:3], torch.arange(4))


def test_features_of_an_extractor_with_weights_have_no_gradient(sets, collected):
    class Weighted(EdgeExtractor):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(28))

        def forward(self, images):
            features, logits = super().forward(images)
            return features, logits * self.weight

    measures = collected(["is"], generated=sets.generated, extractor=Weighted())
    assert not measures.sets().generated.logits.requires_grad
    assert math.isfinite(measures.compute()["is"])


def test_new_real_images_replace_what_was_computed_of_the_old(sets, collected):
    grown = collected(["precision", "coverage"], sets.held_out, sets.generated)
    grown.compute()
    grown.real.add(sets.training)
    fresh = collected(["precision", "coverage"], torch.cat([sets.held_out, sets.training]), sets.generated)
    assert grown.compute() == pytest.approx(fresh.compute(), abs=0.005)


def test_statistics_of_the_real_images_are_computed_once(sets, collected, monkeypatch):
    calls = []
    for module, name in ((distributions.Gaussian, "of"), (neighbours, "radii"), (looks, "quality")):
        original = getattr(module, name)

        def counted(first, *others, name=name, original=original):
            calls.append((name, len(first)))
            return original(first, *others)

        monkeypatch.setattr(module, name, counted)
    measures = collected(["fid", "precision", "recall", "coverage", "quality"], sets.held_out)
    for _ in range(2):
        measures.generated.clear()
        measures.generated.add(sets.generated[:500])
        measures.compute()
    for name in ("of", "radii", "quality"):
        assert calls.count((name, len(sets.held_out))) == 1
        assert calls.count((name, 500)) == 2


def test_appearance_of_a_flat_image():
    assert appearance(torch.full((2, 1, 28, 28), 51, dtype=torch.uint8)).tolist() == [pytest.approx([0.2, 0, 0])] * 2


def test_appearance_of_an_edge():
    images = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    images[..., 14:] = 255
    # One of the 27 differences in a row is 1.
    assert appearance(images)[0].tolist() == pytest.approx([0.5, 0.5, 1 / 27])
