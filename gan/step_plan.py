"""What one step of a run does, and what it found."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gan.averaging import AverageDecay
from gan.config.bounds import require
from gan.cuda_graphs import copied_to_host
from gan.penalties import Penalty

StepResult = dict[str, Tensor | float]
Rate = float | Tensor  # a tensor where a captured step reads another value at each replay
Strength = Rate | None  # None: off


class StepValues(NamedTuple):
    """All numbers of a step that may differ from the step before; None: that part of the step is left out."""

    generator_rate: Rate
    discriminator_rate: Rate
    discriminator_noise: Strength
    generator_noise: Strength
    classification_weight: Strength
    ema_decay: Strength


class Fading:
    """A value that falls to zero in a straight line.

    Args:
        key: of the config, such as "model.instance_noise".
        value: at the start, 0 or more.
        images: images seen until it is zero; None keeps it.
    """

    def __init__(self, key: str, value: float, images: float | None) -> None:
        require(key, value)
        require(f"{key.removesuffix('_weight')}_images", images)
        self.value, self.images = value, images

    def at(self, images_seen: float) -> float | None:
        """What is left of it after so many images; None for nothing."""
        left = max(0.0, 1 - images_seen / self.images) if self.images else 1.0
        return self.value * left or None


class Step(NamedTuple):
    """What one step does: its form, which a graph fixes, and its values, which a graph reads anew at each replay."""

    trains_generator: bool
    penalties: tuple[Penalty, ...]
    values: StepValues

    def form(self) -> tuple[Any, ...]:
        """Equal for two steps that one graph can serve."""
        return self.trains_generator, self.penalties, tuple(value is None for value in self.values)


class StepPlan:
    """The steps of a run, each from its number and the images seen before it.

    Args:
        discriminator_steps: discriminator steps for each generator step, on as many batches.
        penalties: gradient penalties in use.
        noise: standard deviation of the instance noise.
        classification: weight of the classification loss.
        average: how fast the averaged generator forgets.

    Raises:
        UserError: an impossible value.
    """

    def __init__(
        self,
        discriminator_steps: int,
        penalties: Sequence[Penalty],
        noise: Fading,
        classification: Fading,
        average: AverageDecay,
    ) -> None:
        require("model.discriminator_steps", discriminator_steps)
        self.discriminator_steps, self.penalties = discriminator_steps, tuple(penalties)
        self.noise, self.classification, self.average = noise, classification, average

    def step(self, number: int, images: int, images_seen: int, rates: Sequence[float]) -> Step:
        """The step at a batch.

        Args:
            number: batches of the run before it.
            images: real images of the step, on all processes.
            images_seen: images before it.
            rates: learning rates of generator and discriminator.
        """
        after = images_seen + images
        return Step(
            trains_generator=(number + 1) % self.discriminator_steps == 0,
            penalties=tuple(penalty for penalty in self.penalties if number % penalty.every == 0),
            values=StepValues(
                generator_rate=rates[0],
                discriminator_rate=rates[1],
                discriminator_noise=self.noise.at(images_seen),
                generator_noise=self.noise.at(after),
                classification_weight=self.classification.at(images_seen),
                ema_decay=self.average.after(images * self.discriminator_steps, after),
            ),
        )


class LoggedStep:
    """What a step found, copied to the host beside the steps after it: reading it does not wait for these.

    Attributes:
        batch: batches of the run before it.
        images_seen: images seen after it.
        is_row: whether a row is due at its batch; else it is there because its epoch ends.
    """

    def __init__(self, batch: int, images_seen: int, found: StepResult, is_row: bool) -> None:
        self.batch, self.images_seen, self.is_row, self._names = batch, images_seen, is_row, list(found)
        device = next(value.device for value in found.values() if isinstance(value, Tensor))
        values = torch.stack([torch.as_tensor(value, dtype=torch.float32, device=device) for value in found.values()])
        self._values: Tensor = values
        self._copied: torch.cuda.Event | None = None
        if values.is_cuda:
            self._values, self._copied = copied_to_host(values)

    def ready(self) -> bool:
        """Whether reading it takes no waiting."""
        return self._copied is None or self._copied.query()

    def values(self) -> Mapping[str, float]:
        """By name."""
        if self._copied:
            self._copied.synchronize()
        return dict(zip(self._names, self._values.tolist(), strict=True))
