"""GAN: alternating discriminator and generator steps, and the averaged generator they leave behind."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, cast

import torch
from lightning import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor

from gan.averaging import AverageDecay, share_buffers, update_average
from gan.config.bounds import require, require_part
from gan.divergence import require_finite_weights
from gan.execution import Execution
from gan.generator_inputs import check_inputs
from gan.images import normalize, quantize
from gan.losses import build_loss
from gan.networks import build_networks
from gan.objectives import Images, Objectives, check_classification, check_one_stage
from gan.optimizers import at_rate, build_optimizer, clip_gradients, make_portable
from gan.penalties import build_penalties
from gan.randomness import balanced_labels, derive_seed, latents
from gan.schedules import Resumed, build_schedule, generator_steps
from gan.step_plan import Fading, LoggedStep, Rate, Step, StepPlan, StepResult
from gan.trainer_types import Trainer

VALIDATION_SEED = 0


class GAN(LightningModule):
    """Generator against discriminator, by manual optimization.

    Everything is plain values and plain dicts, so that a checkpoint rebuilds the module by itself; dicts name what they
    build as `_target_`. Images seen count each real image shown to the discriminator, on all processes.

    Arguments that are not listed below are described where they are used: the classification loss, joint batches and
    diversity in `Objectives`, what fades in `Fading`, the average in `AverageDecay`, penalties in `build_penalties`.

    Args:
        generator: a network; latent_dim, num_classes and image_channels are handed on to it.
        discriminator: a network; num_classes and image_channels are handed on to it.
        generator_optimizer: one of `torch.optim`.
        discriminator_optimizer: likewise.
        loss: an adversarial loss, see `gan.losses`.
        generator_schedule: a learning-rate scheduler, stepped once a generator step.
        discriminator_schedule: likewise.
        num_classes: of a conditional model, which generates the requested class; None for an unconditional one.
        paired_labels: generated images of a batch have the labels of the real ones, else balanced random ones.
        instance_noise: standard deviation, in units of [-1, 1], of noise on each image that the discriminator sees.
        shared_latents: the generator's step is taken on the images that the discriminator has just learnt from.
        one_stage: the generator's gradient is derived from the discriminator's backward pass, which saves a second
            pass; see `one_stage_loss`. It has no effect with precision 16-mixed, whose range is too small for it.
        gradient_clip_norm: largest L2 norm of each network's gradient; None does not clip.
        discriminator_steps: discriminator steps for each generator step, on as many batches.
        dcgan_initialization: weights N(0, 0.02) in place of PyTorch's defaults.
        max_images: length of the run in images, for schedules; None: as long as the trainer's epochs.
        seed: of noise, labels and dropout.
        trust: packages beside this project's own that `_target_`s may name.

    Raises:
        UserError: an impossible value, named with its key.
    """

    trainer: Trainer

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
        for name in ("gradient_clip_norm", "paired_labels", "shared_latents", "one_stage", "max_images", "seed"):
            require(f"model.{name}", self.hparams[name])
        for name in ("generator", "discriminator"):
            require_part(f"model.{name}_optimizer", self.hparams[f"{name}_optimizer"])
            require_part(f"model.{name}_schedule", self.hparams[f"{name}_schedule"], optional=True)
        self.automatic_optimization = False
        self.latent_dim, self.num_classes, self.gradient_clip_norm = latent_dim, num_classes, gradient_clip_norm
        self.images_seen = self.rewinds = 0
        self.paired_labels, self.shared_latents, self.one_stage = paired_labels, shared_latents, one_stage
        self.trust, self.execution, self.resumed = tuple(trust), Execution(), Resumed.of({})

        options = (latent_dim, num_classes, image_channels, dcgan_initialization, trust)
        self.generator, self.discriminator = build_networks(generator, discriminator, *options)
        self.generator_ema = deepcopy(self.generator).requires_grad_(False)
        adversarial = build_loss(loss, trust)
        self.objectives = Objectives(self.discriminator, adversarial, num_classes, joint_batches, diversity_weight)
        noise = Fading("model.instance_noise", instance_noise, instance_noise_images)
        classification = Fading("model.classification_weight", classification_weight, classification_images)
        average = AverageDecay(ema_half_life, ema_warmup)
        self.steps = StepPlan(discriminator_steps, build_penalties(penalties, trust), noise, classification, average)
        check_classification(classification_weight, num_classes)
        if one_stage:
            check_one_stage(self.discriminator, adversarial, shared_latents, image_channels, num_classes)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, list[LoggedStep]]:
        """A `step` on each batch that the loader gave: one, or several joined into one, see `Execution`."""
        return {"logged": self.execution.run(batch, batch_idx)}

    def step(self, step: Step, images: Tensor, labels: Tensor) -> StepResult:
        """A step of the discriminator and, where it is due, of the generator and its average; what is logged.

        It may be recorded as a CUDA graph: it reads no tensor's value, and all that changes between steps is in `step`.
        Real images are uint8 [N, C, 28, 28], labels int64 [N].
        """
        values = step.values
        real = Images(normalize(images), labels if self.num_classes else None)
        generator_optimizer, discriminator_optimizer = cast(list[LightningOptimizer], self.optimizers())
        one_stage = self.one_stage and self.trainer.precision != "16-mixed"

        with torch.set_grad_enabled(step.trains_generator and self.shared_latents):
            fake = self._generate(real.labels, len(images))
        judged = Images(fake.pixels.detach().requires_grad_(one_stage), fake.labels)
        with self.toggled_optimizer(discriminator_optimizer):
            judgement = self.objectives.discriminator(
                real, judged, step.penalties, values.classification_weight, values.discriminator_noise
            )
            norm = self._descend(discriminator_optimizer, judgement.loss, values.discriminator_rate)
        found = {**judgement.values, "gradient_norm_discriminator": norm, "lr_discriminator": values.discriminator_rate}
        if not step.trains_generator:
            return found
        if not self.shared_latents:
            fake = self._generate(real.labels, len(images))
        with self.toggled_optimizer(generator_optimizer):
            if one_stage:
                loss, seen = self.objectives.one_stage(judgement, judged.pixels, fake)
            else:
                loss, seen = self.objectives.generator(real, fake, values.generator_noise)
            norm = self._descend(generator_optimizer, loss, values.generator_rate)
        update_average(self.generator_ema, self.generator, values.ema_decay)
        return {**found, **seen, "gradient_norm_generator": norm, "lr_generator": values.generator_rate}

    def _descend(self, optimizer: LightningOptimizer, loss: Tensor, rate: Rate) -> Tensor:
        """One step of one optimizer, at that rate; the norm of the gradient before clipping."""
        optimizer.zero_grad()
        self.manual_backward(loss)
        with at_rate(optimizer, rate):
            optimizer.step()
        return self._gradient_norm

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clips, where Lightning has the gradients unscaled, and leaves their norm to `_descend`."""
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        self._gradient_norm = clip_gradients(optimizer, scaler, self.gradient_clip_norm)

    def _generate(self, labels: Tensor | None, count: int) -> Images:
        """Generated images of random latents, with the given labels or balanced ones."""
        if self.num_classes and not self.paired_labels:
            labels = balanced_labels(count, self.num_classes, self.device)
        return Images(self.generator(torch.randn(count, self.latent_dim, device=self.device), labels), labels)

    def setup(self, stage: str) -> None:
        """A fit by a trainer that has trained nothing is a new run from these weights, unless it loads a checkpoint."""
        require("trainer.precision", self.trainer.precision)  # a trainer of one's own may have any
        self.objectives.network = self.discriminator  # the caller may have replaced it
        if stage == "fit" and not self.trainer.global_step:
            self.images_seen, self.rewinds, self.resumed = 0, 0, Resumed.of({})

    def on_train_start(self) -> None:
        self.execution.start(self)
        GAN.on_train_epoch_start(self)  # Lightning leaves this hook out where it resumes inside an epoch

    def on_train_end(self) -> None:
        self.execution.stop()

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(derive_seed(self.hparams["seed"], self.current_epoch, self.global_rank))

    def on_validation_epoch_start(self) -> None:
        self._validated = 0
        share_buffers(self.generator_ema, self.trainer.world_size)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> tuple[Tensor, Tensor | None]:
        """As many generated images as the batch has real ones (uint8), the same at each validation, and their labels.

        The labels are those of the real images: no other mix of digits adds to a distance (arXiv:2006.06676).
        """
        world, first = self.trainer.world_size, self._validated
        self._validated += len(batch[0])
        z = latents(VALIDATION_SEED, first * world, self._validated * world, self.latent_dim)[self.global_rank :: world]
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
        check_inputs(z, labels, self.latent_dim, self.num_classes, "generate")
        self.generator_ema.eval()
        with torch.autocast(self.device.type, enabled=False):
            return quantize(self.generator_ema(z.to(self.device), None if labels is None else labels.to(self.device)))

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[torch.optim.lr_scheduler.LRScheduler]]:
        optimizers, schedules = [], {}
        length = (self.hparams["max_images"], self.hparams["discriminator_steps"])
        steps = generator_steps(self.trainer, *length, self.images_seen, self.resumed)
        for name in ("generator", "discriminator"):
            spec, weights = self.hparams[f"{name}_optimizer"], getattr(self, name).parameters()
            optimizers.append(build_optimizer(spec, f"model.{name}_optimizer", self.trust, weights))
            if spec := self.hparams[key := f"{name}_schedule"]:
                schedules[key] = build_schedule(spec, f"model.{key}", self.trust, optimizers[-1], steps)
        self.resumed.fit_states(schedules, optimizers, self.hparams)
        return optimizers, [*schedules.values()]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.execution.require_finite()
        require_finite_weights(self, self.images_seen)
        checkpoint |= {"images_seen": self.images_seen, "rewinds": self.rewinds, "threads": torch.get_num_threads()}
        checkpoint["data"] = getattr(getattr(self.trainer.datamodule, "source", None), "name", None)
        make_portable(checkpoint.get("optimizer_states", []))  # a file of the weights alone has none

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.images_seen = checkpoint["images_seen"]
        self.rewinds = max(self.execution.rewinds, checkpoint.get("rewinds", 0))
        self.resumed = Resumed.of(checkpoint)
