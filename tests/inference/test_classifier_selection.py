"""Digits that a classifier selects among the samples of an unconditional model."""

import pytest
import torch

from gan.errors import UserError
from gan.inference import classifier_selection
from gan.metrics import DigitExtractor


@pytest.fixture
def brightness_classifier(monkeypatch):
    """Replaces the classifier by one that recognizes the digit (middle pixel) mod 10."""
    monkeypatch.setattr(
        DigitExtractor, "forward", lambda self, images: (None, torch.eye(10)[images[:, 0, 14, 14].long() % 10])
    )


def test_the_classifier_selects_digits_of_an_unconditional_model(untrained, brightness_classifier):
    generator = untrained(None)
    images = generator.generate(300, digits=[3, 1, 4], seed=2, select="classifier")
    assert (images[:, 0, 14, 14] % 10).tolist() == [3, 1, 4] * 100
    assert len(images.flatten(1).unique(dim=0)) == 300
    assert torch.equal(generator.generate(5, digits=[3, 1, 4], seed=2, select="classifier"), images[:5])
    part = generator.generate(9, digits=[3, 1, 4], seed=2, first=250, select="classifier")
    assert torch.equal(part, images[250:259])
    assert not torch.equal(generator.generate(5, digits=[3, 1, 4], seed=3, select="classifier"), images[:5])


def test_the_number_of_samples_to_select_from_is_bounded(untrained, monkeypatch):
    monkeypatch.setattr(DigitExtractor, "forward", lambda self, images: (None, torch.eye(10)[[0] * len(images)]))
    monkeypatch.setattr(classifier_selection, "MAX_CHUNKS", 2)
    assert len(untrained(None).generate(2, digits=[0], select="classifier")) == 2
    with pytest.raises(
        UserError, match=r"digits=\[7\], select=classifier: .* of 512 samples, the classifier recognized 0 as 7"
    ):
        untrained(None).generate(2, digits=[0, 7], select="classifier")
