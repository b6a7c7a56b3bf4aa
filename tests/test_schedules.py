"""Learning rates over a run."""

import math

import pytest
import torch

from gan.schedules import CosineDecay, LinearDecay


def rates(schedule_class, total_steps, **options):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = schedule_class(optimizer, total_steps, **options)
    values = []
    for _ in range(total_steps + 2):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return values


def test_linear_decay():
    values = rates(LinearDecay, 10, start=0.5)
    assert values[:6] == [2.0] * 6
    assert values[6:] == pytest.approx([1.6, 1.2, 0.8, 0.4, 0.0, 0.0])


@pytest.mark.parametrize("schedule_class", [LinearDecay, CosineDecay])
@pytest.mark.parametrize("name", ["start", "end_factor"])
@pytest.mark.parametrize("share", [-0.1, 1.1, "half"])
def test_shares_are_between_0_and_1(schedule_class, name, share):
    with pytest.raises(ValueError, match=f"{name}={share}: a number, 0 or more, 1 or less"):
        rates(schedule_class, 10, **{name: share})


@pytest.mark.parametrize("schedule_class", [LinearDecay, CosineDecay])
def test_the_last_rate_is_the_one_asked_for(schedule_class):
    values = rates(schedule_class, 10, start=0.4, end_factor=0.25)
    assert values[:5] == [2.0] * 5
    assert values[7] == pytest.approx((2.0 + 0.5) / 2)  # halfway down
    assert values[10:] == pytest.approx([0.5, 0.5])


def test_cosine_decay():
    values = rates(CosineDecay, 10)
    assert values[:11] == pytest.approx([1 + math.cos(math.pi * step / 10) for step in range(11)])
    assert values[11] == pytest.approx(0.0)
