"""Which digits can be requested from a model, and the labels of its images."""

import numpy as np
import pytest
import torch

from gan.errors import UserError
from gan.inference import DigitGenerator


def test_images_show_the_requested_digits_in_turn(checkpoints):
    generator = DigitGenerator.from_checkpoint(checkpoints["conditional"], device="cpu")
    assert generator.labels([3, 1, 4], 1, 6).tolist() == [1, 4, 3, 1, 4]
    assert generator.labels(None, 8, 12).tolist() == [8, 9, 0, 1]
    for digits in ([3.0, 1.0], np.array([3, 1]), torch.tensor([3, 1])):
        assert generator.labels(digits, 0, 2).tolist() == [3, 1]
    for wrong, told in (([10], r"\[10\]"), (np.array([[3], [1]]), r"\[\[3\], \[1\]\]"), ([], r"\[\]")):
        with pytest.raises(UserError, match=f"digits={told}: digits are 0 to 9, and at least one is needed"):
            generator.generate(1, digits=wrong)
    with pytest.raises(UserError, match="digits=3: a list such as"):
        generator.generate(1, digits=3)


def test_an_unconditional_model_takes_no_digits(checkpoints):
    generator = DigitGenerator.from_checkpoint(checkpoints["unconditional"], device="cpu")
    assert generator.labels(None, 0, 5) is None
    for digits, words in (([3], "unconditional"), (3, "digits=3: a list such as")):
        with pytest.raises(UserError, match=words):
            generator.generate(1, digits=digits)


def test_a_classifier_selects_named_digits_of_an_unconditional_model_alone(untrained):
    assert untrained(None).labels([7, 0], 1, 4, "classifier").tolist() == [0, 7, 0]
    with pytest.raises(UserError, match="select=eye: classifier, or null"):
        untrained(None).generate(2, digits=[0], select="eye")
    with pytest.raises(UserError, match="select=classifier: this model is conditional"):
        untrained().generate(2, digits=[3], select="classifier")
    with pytest.raises(UserError, match="select=classifier: name the digits"):
        untrained(None).generate(2, select="classifier")
