"""What a step of each network minimizes: the adversarial loss, and what is added to it or done to the images first."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gan.config.bounds import require
from gan.errors import UserError
from gan.losses import AdversarialLoss, has_flat_slopes
from gan.networks.discriminator import judges_by_batch
from gan.penalties import Penalty
from gan.step_plan import Strength


@dataclass(frozen=True)
class Images:
    """Images of one step: float [N, C, H, W] in [-1, 1], and their labels, int64 [N], or None."""

    pixels: Tensor
    labels: Tensor | None


@dataclass(frozen=True)
class Judgement:
    """The discriminator's loss at a batch, and what led to it.

    Attributes:
        loss: float scalar, with its graph.
        real_logits, fake_logits: float [N]; the latter have a gradient after the backward pass, where the images
            take one.
        values: what is logged, by name: float scalars without a graph.
    """

    loss: Tensor
    real_logits: Tensor
    fake_logits: Tensor
    values: dict[str, Tensor]


class Objectives:
    """The losses of both networks, for as many generated images as real ones. It keeps nothing between two calls.

    Args:
        discriminator: the network that judges.
        loss: an adversarial loss.
        num_classes: of a conditional model, else None.
        joint_batches: the discriminator takes real and generated images in one pass, as one batch to its normalization.
        diversity_weight: in the generator's loss, of how far its images of one class are apart; see `pair_distance`.

    Raises:
        UserError: an impossible value.
    """

    def __init__(
        self,
        discriminator: nn.Module,
        loss: AdversarialLoss,
        num_classes: int | None = None,
        joint_batches: bool = False,
        diversity_weight: float = 0.0,
    ) -> None:
        require("model.joint_batches", joint_batches)
        require("model.diversity_weight", diversity_weight)
        self.network, self.loss, self.num_classes = discriminator, loss, num_classes
        self.joint_batches, self.diversity_weight = joint_batches, diversity_weight

    def discriminator(
        self,
        real: Images,
        fake: Images,
        penalties: Sequence[Penalty] = (),
        classification_weight: Strength = None,
        noise: Strength = None,
    ) -> Judgement:
        """The discriminator's loss.

        Args:
            real, fake: the images to judge.
            penalties: those that are due in this step.
            classification_weight: of the cross-entropy of a real image's label under softmax_y D(x, y) (Chen et al.
                2021, arXiv:2111.01035).
            noise: standard deviation of what is added to each image.

        Raises:
            UserError: classification has a weight, and the discriminator does not give a logit for each class.
        """
        values = {}
        real, fake = with_noise(real, noise), with_noise(fake, noise)
        labels = None if real.labels is None or fake.labels is None else torch.cat([real.labels, fake.labels])
        parts = [real, fake]
        if self.joint_batches:
            parts = [Images(torch.cat([real.pixels, fake.pixels]), labels)]
        logits = torch.cat(
            [self.network(part.pixels, part.labels if classification_weight is None else None) for part in parts]
        )
        if classification_weight is not None:
            self._require_classes(logits)
            assert labels is not None  # `GAN` refuses the weight without classes
            values["loss_classification"] = cross_entropy(logits.chunk(2)[0], labels.chunk(2)[0])
            logits = logits.gather(1, labels.unsqueeze(1)).squeeze(1)
        real_logits, fake_logits = logits.chunk(2)
        if fake.pixels.requires_grad:
            fake_logits.retain_grad()
        loss = self.loss.discriminator(real_logits, fake_logits)
        if classification_weight is not None:
            loss = loss + classification_weight * values["loss_classification"]
        values |= {
            "loss_discriminator": loss,
            "logit_real": real_logits.mean(),
            "logit_fake": fake_logits.mean(),
            "accuracy_real": (real_logits > 0).float().mean(),
            "accuracy_fake": (fake_logits < 0).float().mean(),
        }
        for penalty in penalties:
            value = penalty.function(self.network, real.pixels, real.labels, fake.pixels.detach(), fake.labels)
            loss = loss + penalty.weight * penalty.every * value
        return Judgement(loss, real_logits, fake_logits, {name: value.detach() for name, value in values.items()})

    def generator(self, real: Images, fake: Images, noise: Strength = None) -> tuple[Tensor, dict[str, Tensor]]:
        """The generator's loss, at what the discriminator says now, and what is logged."""
        real_logits = None
        if getattr(self.loss, "generator_needs_real", True):
            with torch.no_grad():
                noisy = with_noise(real, noise)
                real_logits = self.network(noisy.pixels, noisy.labels)
        noisy = with_noise(fake, noise)
        loss = self.loss.generator(real_logits, self.network(noisy.pixels, noisy.labels))
        return self._with_diversity(loss, loss.detach(), fake)

    def one_stage(self, judgement: Judgement, judged: Tensor, fake: Images) -> tuple[Tensor, dict[str, Tensor]]:
        """A scalar with the generator's gradient, out of the discriminator's backward pass, and what is logged.

        Args:
            judgement: of `discriminator`, after the backward pass of its loss.
            judged: the images it was taken of, with their gradients.
            fake: the same images, with the graph of the generator.
        """
        gradients, slopes = judged.grad, judgement.fake_logits.grad
        assert gradients is not None  # after that backward pass
        assert slopes is not None
        real_logits, fake_logits = judgement.real_logits.detach(), judgement.fake_logits.detach()
        loss, value = one_stage_loss(self.loss, fake.pixels, gradients, real_logits, fake_logits, slopes)
        return self._with_diversity(loss, value, fake)

    def _with_diversity(self, loss: Tensor, value: Tensor, fake: Images) -> tuple[Tensor, dict[str, Tensor]]:
        values = {"loss_generator": value}
        if self.diversity_weight:
            distance = pair_distance(fake.pixels, fake.labels)
            loss, values["pair_distance"] = loss - self.diversity_weight * distance, distance.detach()
        return loss, values

    def _require_classes(self, logits: Tensor) -> None:
        if logits.shape != (len(logits), self.num_classes):
            raise UserError(
                f"model.classification_weight: without labels the discriminator gives logits of shape "
                f"{tuple(logits.shape)}, not ({len(logits)}, {self.num_classes}), one for each class"
            )


def with_noise(images: Images, noise: Strength) -> Images:
    """Images with normal noise of that standard deviation, as the discriminator sees them."""
    if noise is None:
        return images
    return Images(images.pixels + noise * torch.randn_like(images.pixels), images.labels)


def check_classification(weight: float, num_classes: int | None) -> None:
    """Raises a UserError for a classification loss without classes."""
    if weight and num_classes is None:
        raise UserError(f"model.classification_weight={weight}: 0 where num_classes is null")


def check_one_stage(
    discriminator: nn.Module, loss: AdversarialLoss, shared_latents: bool, image_channels: int, num_classes: int | None
) -> None:
    """Refuses what one backward pass cannot serve both networks with.

    Raises:
        UserError: other images for the generator's step, a discriminator that judges images by their batch, or a loss
            that is flat for some of them.
    """
    if not shared_latents:
        raise UserError("model.one_stage=true: only with model.shared_latents=true")
    if judges_by_batch(discriminator, image_channels, num_classes):
        raise UserError(
            "model.one_stage=true: the discriminator must judge each image by itself, without batch normalization; "
            "with it, model.one_stage=false"
        )
    if has_flat_slopes(loss):
        raise UserError(
            "model.loss: with model.one_stage=true it needs a slope beyond the margin, model.loss.leak=0.1; without "
            "one, model.one_stage=false"
        )


def one_stage_loss(
    loss: AdversarialLoss, fake: Tensor, gradients: Tensor, real_logits: Tensor, fake_logits: Tensor, slopes: Tensor
) -> tuple[Tensor, Tensor]:
    """A scalar whose gradient is that of the generator's loss, and that loss.

    Both losses reach an image x through its logit l = D(x) alone, so their gradients differ by one factor per image
    (Shen et al. 2021, arXiv:2103.00430): grad_x L_G = grad_x L_D * (dL_G / dl) / (dL_D / dl).

    Args:
        loss: the adversarial loss.
        fake: generated images x, float [N, C, H, W], with the graph of the generator.
        gradients: of the discriminator's loss with respect to each of them, of the same shape.
        real_logits, fake_logits: what the discriminator said, float [N].
        slopes: dL_D / dl of the generated images, float [N]; an image counts for less where float32 cannot hold its
            gradient, below 1e-30, and for nothing at zero.

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
    factors = torch.where(slopes == 0, 0.0, generator_slopes / slopes.float().abs().clamp(min=1e-30) * slopes.sign())
    return (fake.float() * (gradients.float() * factors[:, None, None, None])).sum(), value.detach()


def pair_distance(images: Tensor, labels: Tensor | None) -> Tensor:
    """How far images of one class are apart: the mean absolute difference of each to the next of its class.

    A generator that seeks diversity enlarges it (Yang et al. 2019, arXiv:1901.09024). Their division by the distance of
    the latents is left out: it hardly differs between pairs of Gaussian ones.

    Args:
        images: float [N, C, H, W].
        labels: int64 [N]; None: all are of one class.

    Returns:
        float32 scalar in the images' unit; 0 where no two are of one class.
    """
    labels = torch.zeros(len(images), device=images.device) if labels is None else labels
    order = labels.argsort(stable=True)
    alike = (labels[order].diff() == 0).float()
    distances = images.float()[order].diff(dim=0).abs().mean((1, 2, 3))
    return (distances * alike).sum() / alike.sum().clamp(min=1)
