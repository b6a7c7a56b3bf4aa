"""What a step of each network minimizes: the adversarial loss, and what is added to it or done to the images first."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gan.errors import UserError
from gan.losses import AdversarialLoss
from gan.one_stage import one_stage_loss
from gan.penalties import Penalty


class Objectives:
    """The losses of both networks, float scalars, by the hyperparameters of `GAN`.

    Images are float [N, C, H, W] in [-1, 1], as many generated as real ones, labels int64 [N] or None.

    Attributes:
        values: what was found since `forget`, by name, for the log.
    """

    def __init__(
        self,
        discriminator: nn.Module,
        loss: AdversarialLoss,
        penalties: Sequence[Penalty],
        hparams: Mapping[str, Any],
    ) -> None:
        self.network, self.loss, self.penalties, self.hparams = discriminator, loss, penalties, hparams
        self.forget()

    def forget(self) -> None:
        """Starts a step: nothing is found yet."""
        self.values: dict[str, Tensor | float] = {}
        self._judged: list[Tensor] = []

    def note(self, **values: Tensor | float) -> None:
        """Keeps values for the log: Lightning forgets what was logged before another hook ran."""
        self.values |= {name: value.detach() if isinstance(value, Tensor) else value for name, value in values.items()}

    def discriminator(
        self,
        real: Tensor,
        labels: Tensor | None,
        fake: Tensor,
        fake_labels: Tensor | None,
        images_seen: int,
        batch: int,
    ) -> Tensor:
        """The discriminator's loss at a batch, counted from 0 over the run.

        Raises:
            UserError: classification is asked for, and the discriminator does not give a logit for each class.
        """
        real, fake = self.with_noise(real, images_seen), self.with_noise(fake, images_seen)
        weight = fallen(self.hparams["classification_weight"], self.hparams["classification_images"], images_seen)
        asked = None if labels is None else torch.cat([labels, fake_labels])
        parts = [(real, labels), (fake, fake_labels)]
        if self.hparams["joint_batches"]:
            parts = [(torch.cat([real, fake]), asked)]
        classification = 0.0
        logits = torch.cat([self.network(images, None if weight else part) for images, part in parts])
        if weight:
            self._require_classes(logits)
            classification = cross_entropy(logits[: len(real)], labels)
            self.note(loss_classification=classification)
            logits = logits.gather(1, asked.unsqueeze(1)).squeeze(1)
        real_logits, fake_logits = logits.chunk(2)
        if fake.requires_grad:
            self._judged = [real_logits.detach(), fake_logits.detach()]
            fake_logits.register_hook(self._judged.append)
        loss = self.loss.discriminator(real_logits, fake_logits) + weight * classification
        self.note(
            loss_discriminator=loss,
            logit_real=real_logits.mean(),
            logit_fake=fake_logits.mean(),
            accuracy_real=(real_logits > 0).float().mean(),
            accuracy_fake=(fake_logits < 0).float().mean(),
        )
        for penalty in self.penalties:
            if batch % penalty.every == 0:
                value = penalty.function(self.network, real, labels, fake.detach(), fake_labels)
                loss = loss + penalty.weight * penalty.every * value
        return loss

    def generator(
        self, real: Tensor, labels: Tensor | None, fake: Tensor, fake_labels: Tensor | None, images_seen: int
    ) -> Tensor:
        """The generator's loss, at what the discriminator says now."""
        real_logits = None
        if self.loss.generator_needs_real:
            with torch.no_grad():
                real_logits = self.network(self.with_noise(real, images_seen), labels)
        loss = self.loss.generator(real_logits, self.network(self.with_noise(fake, images_seen), fake_labels))
        self.note(loss_generator=loss)
        return self._with_diversity(loss, fake, fake_labels)

    def one_stage(self, fake: Tensor, fake_labels: Tensor | None, gradients: Tensor) -> Tensor:
        """A scalar with the generator's gradient, from those that the discriminator's loss had by the same images."""
        loss, value = one_stage_loss(self.loss, fake, gradients, *self._judged)
        self.note(loss_generator=value)
        return self._with_diversity(loss, fake, fake_labels)

    def with_noise(self, images: Tensor, images_seen: int) -> Tensor:
        """Images as the discriminator sees them after so many real ones."""
        std = fallen(self.hparams["instance_noise"], self.hparams["instance_noise_images"], images_seen)
        return images + std * torch.randn_like(images) if std else images

    def _with_diversity(self, loss: Tensor, fake: Tensor, fake_labels: Tensor | None) -> Tensor:
        weight = self.hparams["diversity_weight"]
        if not weight:
            return loss
        distance = pair_distance(fake, fake_labels)
        self.note(pair_distance=distance)
        return loss - weight * distance

    def _require_classes(self, logits: Tensor) -> None:
        classes = self.hparams["num_classes"]
        if logits.shape != (len(logits), classes):
            raise UserError(
                f"model.classification_weight={self.hparams['classification_weight']}: without labels the "
                f"discriminator gives logits of shape {tuple(logits.shape)}, not ({len(logits)}, {classes}), one for "
                "each class"
            )


def fallen(value: float, end: float | None, images_seen: int) -> float:
    """What is left of a value that falls to zero in a straight line over so many images seen; None: it stays."""
    return value * max(0.0, 1 - images_seen / end) if end else value


def pair_distance(images: Tensor, labels: Tensor | None) -> Tensor:
    """How far images of one class are apart: the mean absolute difference of each to the next of its class.

    What a generator that seeks diversity enlarges (Yang et al. 2019, arXiv:1901.09024), without their division by the
    distance of the latents, which hardly differs between pairs of Gaussian ones.

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
