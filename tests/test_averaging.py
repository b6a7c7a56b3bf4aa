"""The averaged generator against its closed form."""

import pytest
import torch
from torch import nn

from gan.averaging import ema_decay, update_average


def test_half_life():
    assert ema_decay(100, 100) == pytest.approx(0.5)
    assert ema_decay(50, 100) ** 2 == pytest.approx(0.5)
    assert ema_decay(64, 0) == 0


def test_closed_form_and_copied_buffers():
    average, current = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    nn.init.zeros_(average.weight)
    decay, steps = 0.9, 7
    for step in range(steps):
        current.running_mean.fill_(step)
        update_average(average, current, decay)
    assert torch.allclose(average.weight, torch.full((3,), 1 - decay**steps))
    assert torch.equal(average.running_mean, current.running_mean)
    assert average.num_batches_tracked == current.num_batches_tracked
