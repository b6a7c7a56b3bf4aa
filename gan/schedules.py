"""Learning-rate schedules that end with the run; torch's own schedulers can be named in their place."""

import inspect
import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, NamedTuple, Self

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

from gan.checkpoint_files import epoch_position
from gan.config.allowed import Number
from gan.config.targets import build, locate
from gan.errors import UserError
from gan.trainer_types import Trainer

SCHEDULES = ("generator_schedule", "discriminator_schedule")  # settings of a module, in the order of its optimizers
OF_THE_LENGTH = ("total_steps", "_schedule_phases")  # in a schedule's state

log = logging.getLogger("gan")


class LinearDecay(LambdaLR):
    """The full rate until `start`, then a straight line down to `end_factor` of it at the end of the run.

    Args:
        total_steps: generator steps of the run; the module fills it in.
        start: share of the run at the full rate, 0..1.
        end_factor: share of the rate that is left at the end, 0..1.
    """

    def __init__(self, optimizer: Optimizer, total_steps: int, start: float = 0.5, end_factor: float = 0.0) -> None:
        _require(total_steps, start=start, end_factor=end_factor)

        def factor(step: int) -> float:
            left = min(1.0, max(0.0, (1 - step / total_steps) / max(1 - start, 1e-9)))
            return end_factor + (1 - end_factor) * left

        super().__init__(optimizer, factor)


class CosineDecay(LambdaLR):
    """The full rate until `start`, then half a cosine down to `end_factor` of it; arguments as for `LinearDecay`."""

    def __init__(self, optimizer: Optimizer, total_steps: int, start: float = 0.0, end_factor: float = 0.0) -> None:
        _require(total_steps, start=start, end_factor=end_factor)

        def factor(step: int) -> float:
            progress = min(1.0, max(0.0, (step / total_steps - start) / max(1 - start, 1e-9)))
            return end_factor + (1 - end_factor) * (1 + math.cos(math.pi * progress)) / 2

        super().__init__(optimizer, factor)


def _require(total_steps: int, **shares: float) -> None:
    if not (type(total_steps) is int and total_steps > 0):
        raise ValueError(f"total_steps={total_steps}: a whole number, 1 or more")
    for name, share in shares.items():
        if not (isinstance(share, int | float) and 0 <= share <= 1):
            raise ValueError(f"{name}={share}: a number, 0 or more, 1 or less")


def build_schedule(
    spec: Mapping[str, Any], key: str, trust: Sequence[str], optimizer: Optimizer, total_steps: int | None
) -> LRScheduler:
    """The scheduler that `spec` names. A null `total_steps` becomes the run's; only torch's own may do without it.

    Raises:
        UserError: it needs the length of a run that has no end, or something that a step does not give it.
    """
    name, extra = spec["_target_"], {}
    if "schedulers" in spec:
        hint = "a class of your own takes the optimizer and builds them"
        raise UserError(f"{key}._target_={name}: it combines schedulers, which a config cannot name; {hint}")
    packages, of_torch = ["gan.schedules", "torch.optim.lr_scheduler"], str(name).startswith("torch.")
    known = spec if of_torch else inspect.signature(locate(name, key, packages, trust)).parameters
    if "total_steps" in known and spec.get("total_steps") is None:
        if total_steps is None:
            raise UserError(f"{key}: a schedule over the whole run needs max_images or trainer.max_epochs")
        extra["total_steps"] = total_steps
    schedule = build(spec, key, packages, trust, optimizer, **extra)
    if isinstance(schedule, ReduceLROnPlateau) or not isinstance(schedule, LRScheduler):
        raise UserError(f"{key}._target_={name}: it follows no steps; gan.schedules and torch have others that do")
    trial = copy(optimizer)
    trial.param_groups = [{**group, "lr": float(group["lr"])} for group in optimizer.param_groups]
    _try(build(spec, key, packages, trust, trial, **extra), trial, spec, key)
    length = getattr(schedule, "total_steps", math.inf)
    if total_steps is not None and length < total_steps:
        raise UserError(f"{key}: {length:,} steps, and the run has {total_steps:,}; null takes the run's")
    return schedule


def _try(schedule: LRScheduler, optimizer: Optimizer, spec: Mapping[str, Any], key: str) -> None:
    """Raises a UserError for a schedule that cannot take a step, or makes a rate negative."""
    try:
        _take_steps(schedule, 1)
    except Exception as error:  # a wrong value can make a schedule raise any exception
        raise UserError(f"{key}: {error}; it was given {dict(spec)}") from error
    Number(least=0).require(f"{key}: the rate after a step", float(optimizer.param_groups[0]["lr"]))


class Resumed(NamedTuple):
    """What a checkpoint says of schedules; `fit_states` changes the checkpoint's own states of these and optimizers."""

    settings: Mapping[str, Any]  # of its module
    steps: int  # that the generator has taken
    states: list[dict[str, Any]]
    optimizers: list[dict[str, Any]]
    position: Mapping[str, Any] = {}  # of the run in its epochs, for `epoch_position`; empty for a new run

    @classmethod
    def of(cls, checkpoint: Mapping[str, Any]) -> Self:
        settings, states = checkpoint.get("hyper_parameters", {}), checkpoint.get("lr_schedulers", [])
        if states:
            steps = states[0]["last_epoch"]
        else:  # Lightning counts the steps of both networks
            steps = checkpoint.get("global_step", 0) // (settings.get("discriminator_steps", 1) + 1)
        position = {key: checkpoint[key] for key in ("epoch", "loops") if key in checkpoint}
        return cls(settings, steps, states, checkpoint.get("optimizer_states", []), position)

    def batches_done(self, of_epoch: int) -> int:
        """Batches up to the run's place in its epochs, if each had the length of one now.

        To be called once the callbacks have read the checkpoint: `MidEpoch` counts the batches of its epoch anew.
        """
        epochs, batches = epoch_position(self.position) if "loops" in self.position else (0, 0)
        return epochs * of_epoch + batches

    def fit_states(
        self, schedules: Mapping[str, LRScheduler], optimizers: Sequence[Optimizer], settings: Mapping[str, Any]
    ) -> None:
        """Replaces the saved states by those that the schedules of the resumed run, given by key, are to load.

        The length of the run is the new one. A schedule whose settings have changed begins with the rate that it would
        have by now, had it been there from the start. Without its schedule, an optimizer has the rate of its settings.
        """
        if not self.optimizers:  # a new run
            return
        for key, saved, optimizer in zip(SCHEDULES, self.optimizers, optimizers, strict=True):
            if self.settings.get(key) != settings[key]:
                if key in schedules:
                    _take_steps(schedules[key], self.steps)
                for group, new in zip(saved["param_groups"], optimizer.param_groups, strict=True):
                    group.update({name: value for name, value in new.items() if name != "params"})
        then = dict(zip((key for key in SCHEDULES if self.settings.get(key)), self.states, strict=False))
        self.states[:] = [
            {name: value for name, value in then[key].items() if name not in OF_THE_LENGTH}
            if key in then and self.settings[key] == settings[key]
            else schedule.state_dict()
            for key, schedule in schedules.items()
        ]


def _take_steps(schedule: LRScheduler, steps: int) -> None:
    with warnings.catch_warnings(action="ignore"):  # torch's, since the optimizer takes no step before each
        for _ in range(min(steps, getattr(schedule, "total_steps", steps))):
            schedule.step()


def follow_length(schedule: LRScheduler) -> None:
    """Sets the rates of the next step: a resumed optimizer has those of its old schedule, of another length perhaps.

    Those that torch computes from the rate before, such as StepLR, go on from there.
    """
    is_over = schedule.last_epoch > getattr(schedule, "total_steps", math.inf)  # of a run with an earlier end now
    if isinstance(schedule, LambdaLR | OneCycleLR) and not is_over:
        with warnings.catch_warnings(action="ignore"):  # torch's, since this is not within a step of the schedule
            for group, rate in zip(schedule.optimizer.param_groups, schedule.get_lr(), strict=True):
                group["lr"] = rate


def generator_steps(
    trainer: Trainer,
    max_images: int | None,
    discriminator_steps: int,
    images_seen: int = 0,
    resumed: Resumed | None = None,
) -> int | None:
    """Generator steps of the whole run; None for one without an end.

    A resumed run may have taken its first steps, for `images_seen`, with another batch size, on another number of
    processes or in epochs of another length. The rest is as many steps as the images that are left.
    """
    batches, taken = trainer.estimated_stepping_batches, 0  # of all its epochs; infinite without a last one
    images = trainer.datamodule.batch_size * trainer.world_size if trainer.datamodule else 0
    if resumed is not None:
        taken = resumed.steps
        if images_seen and images and trainer.max_epochs != -1 and batches < math.inf:
            batches += math.ceil(images_seen / images) - resumed.batches_done(int(trainer.num_training_batches))
    if max_images and not images:
        raise UserError(f"model.max_images={max_images}: it needs a data module, which has the batch size")
    if max_images:
        batches = min(batches, math.ceil(max_images / images))
    if trainer.max_steps > 0:  # which counts the steps of both optimizers
        batches = min(batches, math.ceil(trainer.max_steps * discriminator_steps / (discriminator_steps + 1)))
    if batches == math.inf:
        return None
    if batches < discriminator_steps:
        text = "model.discriminator_steps=%d: the run has %d batches, so the generator takes no step"
        log.warning(text, discriminator_steps, batches)
    if images_seen and images:
        taken -= images_seen // (images * discriminator_steps)  # as many as this run would have taken
    return max(1, int(batches) // discriminator_steps + taken)
