"""Adversarial losses: what each network minimizes, as functions of the discriminator's logits.

A loss is a class with two methods, `discriminator(real_logits, fake_logits)` and `generator(real_logits, fake_logits)`.
Logits are float [N]; results are float scalars (batch means). `loss=NAME` takes the one that conf/loss/NAME.yaml names.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, leaky_relu, relu, softplus

from gan.config.bounds import require
from gan.config.targets import build
from gan.errors import UserError


class AdversarialLoss(ABC):
    """The base of the losses here. A loss with just the two methods need not inherit from it.

    Attributes:
        generator_needs_real: whether `generator` reads `real_logits`, which are None where it is False. A loss that
            does not say so is given them.
        has_threshold: whether a logit of 0 parts real images from generated ones.
    """

    generator_needs_real: bool = False
    has_threshold: bool = True

    @abstractmethod
    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor: ...

    @abstractmethod
    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor: ...


def build_loss(spec: Mapping[str, Any], trust: Sequence[str]) -> AdversarialLoss:
    """The loss that `spec` names; a UserError for one with parameters, which no optimizer would train."""
    loss: AdversarialLoss = build(spec, "model.loss", ["gan.losses"], trust)
    if isinstance(loss, nn.Module) and any(True for _ in loss.parameters()):
        raise UserError(
            f"model.loss._target_={spec['_target_']}: it has parameters, and the networks' alone are trained"
        )
    return loss


def has_flat_slopes(loss: AdversarialLoss) -> bool:
    """Whether the discriminator's loss has zero gradient over a range of fake logits, as the hinge loss has.

    It is measured over the logits -8..8 on a copy, so that a loss need not declare it and is not changed by it.
    """
    fake_logits = torch.linspace(-8, 8, 64).requires_grad_()
    with torch.enable_grad():
        (slopes,) = torch.autograd.grad(deepcopy(loss).discriminator(torch.zeros(64), fake_logits), fake_logits)
    flat = slopes == 0
    return bool((flat[1:] & flat[:-1]).any())


class BinaryCrossEntropy(AdversarialLoss):
    """Non-saturating cross-entropy (Goodfellow et al. 2014, arXiv:1406.2661, section 3).

    L_D = BCE(D(x), 1 - s) + BCE(D(G(z)), 0), L_G = BCE(D(G(z)), 1), with sigmoids on the logits. The smoothing s is
    one-sided: real targets alone (Salimans et al. 2016, arXiv:1606.03498).

    Args:
        label_smoothing: s, 0 <= s < 1.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        require("model.loss.label_smoothing", label_smoothing)
        self.label_smoothing = label_smoothing

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        target = torch.full_like(real_logits, 1 - self.label_smoothing)
        return binary_cross_entropy_with_logits(real_logits, target) + softplus(fake_logits).mean()

    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        return softplus(-fake_logits).mean()


class Hinge(AdversarialLoss):
    """Hinge loss (Lim and Ye 2017, arXiv:1705.02894).

    L_D = E[max(0, 1 - D(x))] + E[h(1 + D(G(z)))], L_G = -E[D(G(z))], with h(t) = t above 0 and leak * t below.

    Args:
        leak: what is left of the slope for generated images beyond the margin, 0 <= leak <= 1; 0 is the published loss.
    """

    def __init__(self, leak: float = 0.0) -> None:
        require("model.loss.leak", leak)
        self.leak = leak

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return relu(1 - real_logits).mean() + leaky_relu(1 + fake_logits, self.leak).mean()

    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        return -fake_logits.mean()


class Wasserstein(AdversarialLoss):
    """Wasserstein loss (Arjovsky et al. 2017, arXiv:1701.07875): L_D = E[D(G(z))] - E[D(x)], L_G = -E[D(G(z))].

    It needs a Lipschitz constraint, such as the penalty `wgan_gp`.
    """

    has_threshold = False

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return fake_logits.mean() - real_logits.mean()

    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        return -fake_logits.mean()


class Relativistic(AdversarialLoss):
    """Relativistic pairing (Jolicoeur-Martineau 2018, arXiv:1807.00734; Huang et al. 2024, arXiv:2501.05441).

    L_D = E[softplus(-(D(x) - D(G(z))))], L_G = E[softplus(-(D(G(z)) - D(x)))]. Conditional models pair images of one
    label or of independent ones: `model.paired_labels`.
    """

    has_threshold = False
    generator_needs_real = True

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return softplus(fake_logits - real_logits).mean()

    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        assert real_logits is not None  # as `generator_needs_real` demands
        return softplus(real_logits - fake_logits).mean()
