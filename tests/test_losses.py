"""Losses against their formulas."""

import math

import pytest
import torch

from gan.errors import UserError
from gan.losses import BinaryCrossEntropy, Hinge, Relativistic, Wasserstein, build_loss, has_flat_slopes

REAL, FAKE = torch.tensor([0.3, -1.2, 2.5]), torch.tensor([-0.4, 0.9, -3.0])


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def log_sigmoid(x):
    return -math.log1p(math.exp(-x))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_binary_cross_entropy(smoothing):
    real, fake = REAL.tolist(), FAKE.tolist()
    target = 1 - smoothing
    expected = mean(-target * log_sigmoid(x) - (1 - target) * log_sigmoid(-x) for x in real) + mean(
        -log_sigmoid(-x) for x in fake
    )
    loss = BinaryCrossEntropy(smoothing)
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(expected, rel=1e-5)
    assert loss.generator(None, FAKE).item() == pytest.approx(mean(-log_sigmoid(x) for x in fake), rel=1e-5)


@pytest.mark.parametrize("leak", [0.0, 0.1])
def test_hinge(leak):
    loss = Hinge(leak)
    expected = mean(max(0, 1 - x) for x in REAL.tolist()) + mean(max(leak * (1 + x), 1 + x) for x in FAKE.tolist())
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(expected, rel=1e-5)
    assert loss.generator(None, FAKE).item() == pytest.approx(-mean(FAKE.tolist()), rel=1e-5)


def test_wasserstein():
    loss = Wasserstein()
    expected = mean(FAKE.tolist()) - mean(REAL.tolist())
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(expected, rel=1e-5)
    assert loss.generator(None, FAKE).item() == pytest.approx(-mean(FAKE.tolist()), rel=1e-5)


def test_relativistic():
    loss = Relativistic()
    gaps = [x - y for x, y in zip(REAL.tolist(), FAKE.tolist(), strict=True)]
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(mean(-log_sigmoid(gap) for gap in gaps), rel=1e-5)
    assert loss.generator(REAL, FAKE).item() == pytest.approx(mean(-log_sigmoid(-gap) for gap in gaps), rel=1e-5)


@pytest.mark.parametrize("loss", [BinaryCrossEntropy(), Hinge(), Wasserstein(), Relativistic()])
def test_extreme_logits_stay_finite(loss):
    real, fake = torch.tensor([-1e4]), torch.tensor([1e4])
    assert torch.isfinite(loss.discriminator(real, fake))
    assert torch.isfinite(loss.generator(real, fake))


class Counting(BinaryCrossEntropy):
    calls = 0

    def discriminator(self, real_logits, fake_logits):
        self.calls += 1
        return super().discriminator(real_logits, fake_logits)


class Learned(torch.nn.BCEWithLogitsLoss):
    def __init__(self):
        super().__init__()
        self.temperature = torch.nn.Parameter(torch.ones(()))


def test_a_loss_is_not_changed_by_the_look_at_its_slopes():
    loss = Counting()
    assert not has_flat_slopes(loss)
    assert loss.calls == 0


def test_a_loss_with_parameters_is_refused():
    with pytest.raises(UserError, match=r"model\.loss\._target_=.*Learned: it has parameters"):
        build_loss({"_target_": f"{__name__}.Learned"}, [__name__])
