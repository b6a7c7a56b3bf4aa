"""The device of a generator."""

import pytest
import torch

from gan.errors import UserError
from gan.inference import DigitGenerator
from gan.inference.device import find_device


def test_a_device_that_this_machine_lacks_is_refused(checkpoints):
    for device in ("npu", "meta", None):
        with pytest.raises(UserError, match=f"device={device}: not on this machine"):
            DigitGenerator.from_checkpoint(checkpoints["unconditional"], device=device)


@pytest.mark.parametrize(("cuda", "mps", "chosen"), [(False, False, "cpu"), (False, True, "mps"), (True, True, "cuda")])
def test_auto_is_the_best_device_of_the_machine(monkeypatch, cuda, mps, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(torch, "zeros", lambda *size, device: torch.ones(*size, device="cpu"))  # it has none of them
    assert find_device("auto") == torch.device(chosen)
    assert find_device("cpu") == torch.device("cpu")
