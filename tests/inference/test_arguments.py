"""What a caller in Python asks for: a device, numbers, and digits that the model has."""

import numpy as np
import pytest
import torch

from gan.config.allowed import COUNT
from gan.errors import UserError
from gan.inference import DigitGenerator
from gan.inference.arguments import find_device, number


def test_images_show_the_requested_digits_in_turn(checkpoints):
    generator = DigitGenerator.from_checkpoint(checkpoints["conditional"], device="cpu")
    assert generator.labels([3, 1, 4], 1, 6).tolist() == [1, 4, 3, 1, 4]
    assert generator.labels(None, 8, 12).tolist() == [8, 9, 0, 1]
    for digits in ([3.0, 1.0], np.array([3, 1]), torch.tensor([3, 1])):
        assert generator.labels(digits, 0, 2).tolist() == [3, 1]
    for wrong, told in (([10], r"\[10\]"), (np.array([[3], [1]]), r"\[\[3\], \[1\]\]"), ([], r"\[\]")):
        with pytest.raises(UserError, match=f"digits={told}: digits are 0 to 9, and at least one is needed"):
            generator.generate(1, digits=wrong)
    for wrong in (3, iter([3])):  # an iterator would be empty at the second chunk
        with pytest.raises(UserError, match=r"digits=.*: a list such as"):
            generator.generate(1, digits=wrong)


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


def test_numbers_of_numpy_are_those_of_python():
    assert [type(number(COUNT, "count", value)) for value in (np.int64(3), np.uint8(3), 3)] == [int] * 3
    assert type(number(COUNT, "count", torch.tensor(3))) is int
    for wrong in (np.int64(0), np.float32(1), None):
        with pytest.raises(UserError, match=f"count={wrong}: a whole number, 1 or more"):
            number(COUNT, "count", wrong)


def test_a_device_that_this_machine_lacks_is_refused(checkpoints):
    for device in ("npu", "meta", None, 2**64):
        with pytest.raises(UserError, match=f"device={device}: not on this machine"):
            DigitGenerator.from_checkpoint(checkpoints["unconditional"], device=device)


@pytest.mark.parametrize(("cuda", "mps", "chosen"), [(False, False, "cpu"), (False, True, "mps"), (True, True, "cuda")])
def test_auto_is_the_best_device_of_the_machine(monkeypatch, cuda, mps, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(torch, "zeros", lambda *size, device: torch.ones(*size, device="cpu"))  # it has none of them
    assert find_device("auto") == torch.device(chosen)
    assert find_device("cpu") == torch.device("cpu")
