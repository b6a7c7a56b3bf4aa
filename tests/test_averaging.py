"""The averaged generator against its closed form."""

import pytest
import torch
from torch import nn

from gan.averaging import AverageDecay, update_average
from gan.errors import UserError


def test_half_life():
    assert AverageDecay(100, 1).after(100, 10**6) == pytest.approx(0.5)
    assert AverageDecay(100, 1).after(50, 10**6) ** 2 == pytest.approx(0.5)
    assert AverageDecay(100, 0.5).after(10, 40) == pytest.approx(0.5**0.5)
    assert AverageDecay(0).after(64, 64) is None


@pytest.mark.parametrize(("half_life", "warmup", "key"), [(-1, 0.05, "ema_half_life"), (0, 0, "ema_warmup")])
def test_impossible_values_are_refused(half_life, warmup, key):
    with pytest.raises(UserError, match=rf"model\.{key}="):
        AverageDecay(half_life, warmup)


@pytest.mark.parametrize("as_tensor", [False, True])
def test_closed_form_and_copied_buffers(as_tensor):
    average, current = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    nn.init.zeros_(average.weight)
    decay, steps = 0.9, 7
    for step in range(steps):
        current.running_mean.fill_(step)
        update_average(average, current, torch.tensor(decay) if as_tensor else decay)
    assert torch.allclose(average.weight, torch.full((3,), 1 - decay**steps))
    assert torch.equal(average.running_mean, current.running_mean)
    assert average.num_batches_tracked == current.num_batches_tracked


def test_without_an_average_it_is_a_copy():
    average, current = nn.Linear(2, 2), nn.Linear(2, 2)
    update_average(average, current, None)
    assert torch.equal(average.weight, current.weight)
