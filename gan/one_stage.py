"""One-stage steps: the generator's gradient out of the discriminator's own backward pass (arXiv:2103.00430)."""

import torch
from torch import Tensor, nn

from gan.errors import UserError
from gan.losses import AdversarialLoss


def check_one_stage(discriminator: nn.Module, loss: AdversarialLoss) -> None:
    """Refuses what one backward pass cannot serve both networks with.

    Raises:
        UserError: a discriminator that judges images by their batch, or a loss that is flat for some of them.
    """
    if any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in discriminator.modules()):
        raise UserError(
            "model.one_stage=true: the discriminator must judge each image by itself, without batch normalization; "
            "with it, model.one_stage=false"
        )
    if getattr(loss, "leak", 1) == 0:
        raise UserError(
            "model.loss: with model.one_stage=true it needs a slope beyond the margin, +model.loss.leak=0.1; without "
            "one, model.one_stage=false"
        )


def one_stage_loss(
    loss: AdversarialLoss, fake: Tensor, gradients: Tensor, real_logits: Tensor, fake_logits: Tensor, slopes: Tensor
) -> tuple[Tensor, Tensor]:
    """A scalar whose gradient is that of the generator's loss, and that loss.

    Both losses reach an image x through its logit l = D(x) alone, so that their gradients differ by a factor for each
    image (Shen et al. 2021, arXiv:2103.00430): grad_x L_G = grad_x L_D * (dL_G / dl) / (dL_D / dl).

    Args:
        loss: the adversarial loss.
        fake: generated images x, float [N, C, H, W], with the graph of the generator.
        gradients: of the discriminator's loss by each of them, of the same shape.
        real_logits, fake_logits: what the discriminator said, float [N].
        slopes: dL_D / dl of the generated images, float [N]; where it is zero an image counts for nothing.

    Raises:
        UserError: the discriminator gives an image another number of logits than one.
    """
    if fake_logits.shape != (len(fake),):
        raise UserError(
            f"model.one_stage=true: the discriminator gives logits of shape {tuple(fake_logits.shape)} for "
            f"{len(fake)} images; it must give one for each"
        )
    fake_logits = fake_logits.float().requires_grad_()
    value = loss.generator(real_logits.float(), fake_logits)
    (generator_slopes,) = torch.autograd.grad(value, fake_logits)
    factors = torch.where(slopes == 0, 0.0, generator_slopes / slopes.float())
    return (fake.float() * (gradients.float() * factors[:, None, None, None])).sum(), value.detach()
