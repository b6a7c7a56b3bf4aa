"""GAN: alternating discriminator and generator steps, and the averaged generator they leave behind."""

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from lightning import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from gan.averaging import ema_decay, update_average
from gan.config.bounds import check_model
from gan.config.targets import build
from gan.images import normalize, quantize
from gan.networks.layers import initialize_dcgan
from gan.objectives import Objectives
from gan.one_stage import check_one_stage
from gan.penalties import build_penalties
from gan.randomness import derive_seed, latents
from gan.schedules import build_schedule, generator_steps

VALIDATION_SEED = 0


class GAN(LightningModule):
    """Generator against discriminator, by manual optimization.

    Everything is plain values and plain dicts, so that a checkpoint rebuilds the module by itself; dicts name what they
    build as `_target_`. Images seen count each real image shown to the discriminator, on all processes.

    Args:
        generator, discriminator: networks; latent_dim, num_classes and image_channels are handed on to them.
        generator_optimizer, discriminator_optimizer: optimizers of `torch.optim`.
        loss: an adversarial loss, see `gan.losses`.
        penalties: by name, a function of `gan.penalties` with `weight` (1; 0: off) and `every`, the discriminator steps
            from one use to the next (1); a lazy penalty counts `every` times, so that its mean strength stays.
        generator_schedule, discriminator_schedule: learning-rate schedulers, stepped once a generator step; an entry
            `total_steps: null` is filled in with the generator steps of the whole run.
        latent_dim: length of the latent vector.
        num_classes: digits are drawn on demand by a conditional model (10); None for an unconditional one.
        image_channels: 1 for grey images, 3 for colour.
        paired_labels: generated images of a batch have the labels of the real ones, else uniform ones that take turns.
        classification_weight: of the cross-entropy of a real image's label under softmax_y D(x, y), in the loss of a
            conditional discriminator (Chen et al. 2021, arXiv:2111.01035).
        classification_images: images seen until that weight has fallen to zero in a straight line; None keeps it.
        diversity_weight: in the generator's loss, of how far its images of one class are apart; see `pair_distance`.
        joint_batches: the discriminator takes real and generated images in one pass, as one batch to its normalization.
        shared_latents: the generator's step is taken on the images that the discriminator has just learnt from.
        one_stage: it also takes its gradient from the discriminator's own backward pass, before that one's step, in
            place of a second pass through it (Shen et al. 2021, arXiv:2103.00430). The discriminator must judge each
            image by itself, with one logit, and its loss must change with each generated image's logit. With
            precision 16-mixed, whose range is too small for it, a second pass is made all the same.
        label_smoothing: for losses that have targets, 0 <= s < 1.
        instance_noise: standard deviation of the noise on each image that the discriminator sees, in units of [-1, 1].
        instance_noise_images: images seen until it has fallen to zero in a straight line; None keeps it.
        gradient_clip_norm: largest L2 norm of each network's gradient; None does not clip.
        discriminator_steps: discriminator steps for each generator step, on as many batches.
        ema_half_life: images until a weight has lost half its part in the average; 0: the average is the generator.
        ema_warmup: the half-life is at most this share of the images seen.
        dcgan_initialization: weights N(0, 0.02) in place of PyTorch's defaults.
        max_images: length of the run in images, for schedules; None: as long as the trainer's epochs.
        seed: of noise, labels and dropout.
        trust: packages beside this project's own that `_target_`s may name.

    Raises:
        UserError: an impossible value, named with its key.
    """

    def __init__(
        self,
        generator: dict[str, Any],
        discriminator: dict[str, Any],
        generator_optimizer: dict[str, Any],
        discriminator_optimizer: dict[str, Any],
        loss: dict[str, Any],
        penalties: dict[str, dict[str, Any]] | None = None,
        generator_schedule: dict[str, Any] | None = None,
        discriminator_schedule: dict[str, Any] | None = None,
        latent_dim: int = 100,
        num_classes: int | None = None,
        image_channels: int = 1,
        paired_labels: bool = False,
        classification_weight: float = 0.0,
        classification_images: int | None = None,
        diversity_weight: float = 0.0,
        joint_batches: bool = False,
        shared_latents: bool = False,
        one_stage: bool = False,
        label_smoothing: float = 0.0,
        instance_noise: float = 0.0,
        instance_noise_images: int | None = None,
        gradient_clip_norm: float | None = None,
        discriminator_steps: int = 1,
        ema_half_life: float = 0.0,
        ema_warmup: float = 0.05,
        dcgan_initialization: bool = False,
        max_images: int | None = None,
        seed: int = 0,
        trust: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["trust"])
        check_model(self.hparams)
        self.automatic_optimization = False
        self.latent_dim, self.num_classes, self.images_seen = latent_dim, num_classes, 0
        self.trust = tuple(trust)

        shared = {"num_classes": num_classes, "image_channels": image_channels}
        networks = ["gan.networks"]
        self.generator: nn.Module = build(
            generator, "model.generator", networks, trust, latent_dim=latent_dim, **shared
        )
        self.discriminator: nn.Module = build(discriminator, "model.discriminator", networks, trust, **shared)
        if dcgan_initialization:
            initialize_dcgan(self.generator)
            initialize_dcgan(self.discriminator)
        self.generator_ema = deepcopy(self.generator).requires_grad_(False)

        smoothing = {"label_smoothing": label_smoothing} if label_smoothing else {}
        adversarial = build(loss, "model.loss", ["gan.losses"], trust, **smoothing)
        if one_stage:
            check_one_stage(self.discriminator, adversarial)
        used = build_penalties(penalties or {}, trust)
        self.objectives = Objectives(self.discriminator, adversarial, used, self.hparams)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        objectives = self.objectives
        objectives.forget()
        real, labels = normalize(batch[0]), batch[1] if self.num_classes else None
        generator_optimizer, discriminator_optimizer = self.optimizers()
        number = self.trainer.fit_loop.total_batch_idx
        trains_generator = (number + 1) % self.hparams.discriminator_steps == 0
        with torch.set_grad_enabled(trains_generator and self.hparams.shared_latents):
            fake = self._draw(labels, len(real))
        one_stage = self.hparams.one_stage and self.trainer.precision != "16-mixed"
        seen = fake[0].detach().requires_grad_(one_stage)
        self._update(
            discriminator_optimizer,
            lambda: objectives.discriminator(real, labels, seen, fake[1], self.images_seen, number),
        )
        self.images_seen += len(real) * self.trainer.world_size
        if trains_generator:
            if not self.hparams.shared_latents:
                fake = self._draw(labels, len(real))
            loss_of = partial(objectives.generator, real, labels, *fake, self.images_seen)
            if one_stage:
                loss_of = partial(objectives.one_stage, *fake, seen.grad)
            self._update(generator_optimizer, loss_of)
            self._update_ema(len(real) * self.trainer.world_size * self.hparams.discriminator_steps)
            for config in self.trainer.lr_scheduler_configs:
                config.scheduler.step()
        if self.log_due:
            values = {f"train/{name}": value for name, value in objectives.values.items()}
            self.log_dict({**values, "images_seen": float(self.images_seen)})

    def _update(self, optimizer: LightningOptimizer, loss_of: Callable[[], Tensor]) -> None:
        """One step of one network; the other one's parameters take no gradient meanwhile."""
        with optimizer.toggle_model():
            loss = loss_of()
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()

    def _draw(self, labels: Tensor | None, count: int) -> tuple[Tensor, Tensor | None]:
        """Generated images of random latents, with the given labels or uniform ones, of which a batch has all alike."""
        if labels is not None and not self.hparams.paired_labels:
            turns = [torch.randperm(self.num_classes) for _ in range(math.ceil(count / self.num_classes))]
            labels = torch.cat(turns)[:count].to(self.device)
        return self.generator(torch.randn(count, self.latent_dim, device=self.device), labels), labels

    def _update_ema(self, images: int) -> None:
        half_life = min(self.hparams.ema_half_life, self.hparams.ema_warmup * self.images_seen)
        update_average(self.generator_ema, self.generator, ema_decay(images, half_life))

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        limit = self.hparams.gradient_clip_norm
        if limit is None and not self.log_due:
            return
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        if scaler and getattr(optimizer, "_step_supports_amp_scaling", False):
            scaler.unscale_(optimizer)  # Lightning leaves that to a fused optimizer's step, which comes after clipping
        name = "generator" if optimizer is self.optimizers(use_pl_optimizer=False)[0] else "discriminator"
        norm = nn.utils.clip_grad_norm_(getattr(self, name).parameters(), math.inf if limit is None else limit)
        self.objectives.note(**{f"gradient_norm_{name}": norm, f"lr_{name}": optimizer.param_groups[0]["lr"]})

    @property
    def log_due(self) -> bool:
        """Whether this batch's values are logged; Lightning's bookkeeping would cost several percent if all were."""
        due = (self.trainer.fit_loop.total_batch_idx + 1) % self.trainer.log_every_n_steps == 0
        return due or self.trainer.is_last_batch

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(derive_seed(self.hparams.seed, self.current_epoch, self.global_rank))

    def on_validation_epoch_start(self) -> None:
        self._validated = 0
        if self.trainer.world_size > 1:  # each process has running statistics of its own last batch
            for buffer in self.generator_ema.buffers():
                torch.distributed.broadcast(buffer, 0)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> tuple[Tensor, Tensor | None]:
        """As many generated images as the batch has real ones (uint8), the same at each validation, and their labels.

        The labels are those of the real images, so that no part of a distance is due to how often each digit is asked
        for (as in Karras et al. 2020, arXiv:2006.06676, whose labels are drawn from the data).
        """
        world, first = self.trainer.world_size, self._validated
        self._validated += len(batch[0])
        index = slice(self.global_rank, None, world)
        z = latents(VALIDATION_SEED, first * world, self._validated * world, self.latent_dim)[index]
        labels = batch[1] if self.num_classes else None
        return self.generate(z, labels), labels

    @torch.no_grad()
    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images of the averaged generator, in float32 and evaluation mode.

        Args:
            z: latents, float [N, latent_dim].
            labels: int64 [N] for a conditional model, else None.

        Returns:
            uint8 [N, C, 28, 28] on the module's device.
        """
        self.generator_ema.eval()
        with torch.autocast(self.device.type, enabled=False):
            return quantize(self.generator_ema(z.to(self.device), None if labels is None else labels.to(self.device)))

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[torch.optim.lr_scheduler.LRScheduler]]:
        optimizers, schedules = [], []
        for name in ("generator", "discriminator"):
            optimizer, schedule = self.hparams[f"{name}_optimizer"], self.hparams[f"{name}_schedule"]
            parameters = getattr(self, name).parameters()
            optimizers.append(build(optimizer, f"model.{name}_optimizer", ["torch.optim"], self.trust, parameters))
            if schedule:
                steps = (self.trainer, self.hparams.max_images, self.hparams.discriminator_steps)
                schedules.append(
                    build_schedule(
                        schedule, f"model.{name}_schedule", self.trust, optimizers[-1], generator_steps(*steps)
                    )
                )
        return optimizers, schedules

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["images_seen"] = self.images_seen
        checkpoint["data"] = getattr(getattr(self.trainer.datamodule, "source", None), "name", None)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.images_seen = checkpoint["images_seen"]
