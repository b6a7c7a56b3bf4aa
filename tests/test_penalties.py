"""Gradient penalties against closed forms and finite differences."""

import pytest
import torch
from torch import nn

from gan.errors import UserError
from gan.penalties import build_penalties, r1, r2, wgan_gp


class Quadratic(nn.Module):
    """D(x) = a |x|^2 / 2 + b sum(x), whose gradient is a x + b."""

    def __init__(self, a, b):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.tensor(a)), nn.Parameter(torch.tensor(b))

    def forward(self, images, labels=None):
        return self.a * images.square().flatten(1).sum(1) / 2 + self.b * images.flatten(1).sum(1)


REAL, FAKE = torch.rand(2, 5, 1, 4, 4, generator=torch.Generator().manual_seed(0))


def test_r1_and_r2_closed_form():
    a, b = 0.7, -0.3
    for penalty, images in ((r1, REAL), (r2, FAKE)):
        expected = (a * images + b).square().flatten(1).sum(1).mean().item() / 2
        value = penalty(Quadratic(a, b), REAL, None, FAKE, None)
        assert value.item() == pytest.approx(expected, rel=1e-6)


def test_wgan_gp_closed_form():
    b = 0.7  # a linear discriminator has the same gradient everywhere: |grad| = |b| sqrt(16)
    value = wgan_gp(Quadratic(0.0, b), REAL, None, FAKE, None)
    assert value.item() == pytest.approx((abs(b) * 4 - 1) ** 2, rel=1e-5)


def test_wgan_gp_takes_generated_images_of_autocast():
    fake = FAKE.bfloat16()
    torch.manual_seed(0)
    first = wgan_gp(Quadratic(0.7, -0.3), REAL, None, fake, None)
    torch.manual_seed(0)
    assert first == wgan_gp(Quadratic(0.7, -0.3), REAL, None, fake.float(), None)


@pytest.mark.parametrize("penalty", [r1, r2])
def test_its_gradient_matches_finite_differences(penalty):
    network = Quadratic(0.7, -0.3)
    penalty(network, REAL, None, FAKE, None).backward()
    step = 1e-3
    for name in ("a", "b"):
        values = []
        for sign in (-1, 1):
            moved = Quadratic(0.7, -0.3)
            getattr(moved, name).data += sign * step
            values.append(penalty(moved, REAL, None, FAKE, None).item())
        difference = (values[1] - values[0]) / (2 * step)
        assert getattr(network, name).grad.item() == pytest.approx(difference, rel=1e-3)


def test_labels_reach_the_discriminator():
    class Labelled(nn.Module):
        def forward(self, images, labels):
            return labels * images.flatten(1).sum(1)

    real_labels, fake_labels = torch.full((5,), 2.0), torch.full((5,), 3.0)
    assert r1(Labelled(), REAL, real_labels, FAKE, fake_labels).item() == pytest.approx(4 * 16 / 2)
    assert r2(Labelled(), REAL, real_labels, FAKE, fake_labels).item() == pytest.approx(9 * 16 / 2)


def test_only_weighted_penalties_are_used():
    specs = {
        "r1": {"_target_": "gan.penalties.r1", "weight": 0.5, "every": 16},
        "r2": {"_target_": "gan.penalties.r2", "weight": 0.0, "every": 16},
    }
    (penalty,) = build_penalties(specs, ())
    assert (penalty.function.func, penalty.weight, penalty.every) == (r1, 0.5, 16)
    (plain,) = build_penalties({"r2": {"_target_": "gan.penalties.r2"}}, ())
    assert (plain.weight, plain.every) == (1.0, 1)
    specs["r2"]["evry"] = 8  # also of one without a weight
    with pytest.raises(
        UserError, match=r"^model\.penalties\.r2: .*'evry'; gan\.penalties\.r2 takes .*; without it: '~"
    ):
        build_penalties(specs, ())
    del specs["r2"]["evry"]
    specs["r1"]["every"] = 0
    with pytest.raises(UserError, match=r"model\.penalties\.r1"):
        build_penalties(specs, ())
