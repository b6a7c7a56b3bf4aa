"""Measures of a set of generated images against real ones, from one forward pass of the extractor per image."""

import logging
import math
from collections.abc import Iterable, Mapping
from typing import Any

from gan.metrics.bootstrap import Interval, Resamples, interval
from gan.metrics.extractor import Extractor, full_precision
from gan.metrics.features import FeatureCollector, from_first_rank, is_first_rank
from gan.metrics.measures import build_measures
from gan.metrics.measures.appearance import appearance
from gan.metrics.measures.base import Comparison, Direction, Measure, Pixels

log = logging.getLogger("gan")


class ImageMeasures:
    """Collects real and generated images and computes the chosen measures.

    Real and training images are added once and kept, with every statistic that depends on them alone. Generated ones
    are cleared between sets. It is no nn.Module, so a callback or a module that holds one does not save it.

    Under several ranks each adds its own share of the images, and all call `compute`. The first rank measures the
    shares together, and all ranks return its numbers. The order of the images, their batches and their ranks change no
    number beyond rounding. Everything is computed on the extractor's device. Random draws come from `seed`, and the
    global generator is left alone.

    Args:
        extractor: of `build_extractor`, on the device it is to run on.
        measures: see `build_measures`; None means all that fit the extractor.
        seed: of the random draws of measures that make some.

    Attributes:
        measures: the measures by name.
        real, generated, training: the held-out real images, the generated ones, and those the model was trained on.
        pixels: the images themselves, for measures that need them; None leaves these out.
        skipped: after `compute`, the measures that were left out, each with a one-line reason: too few images, no
            labels, no training images, or a value that is NaN.

    Raises:
        UserError: an unknown measure, or one that reads digits with an extractor that does not.
    """

    def __init__(
        self,
        extractor: Extractor,
        measures: Iterable[str | Mapping[str, Any] | Measure] | None = None,
        seed: int = 0,
    ) -> None:
        self.extractor, self.seed = extractor, seed
        self.measures = {measure.name: measure for measure in build_measures(measures, extractor)}
        self.skipped: dict[str, str] = {}
        self.pixels: Pixels | None = None
        self._warned: set[str] = set()
        looks = appearance if any(measure.needs_appearance for measure in self.measures.values()) else None
        self.real, self.generated, self.training = (FeatureCollector(extractor, looks) for _ in range(3))

    @property
    def need_training(self) -> bool:
        """Whether any of the measures compares with the training images."""
        return any(measure.needs_training for measure in self.measures.values())

    @property
    def need_pixels(self) -> bool:
        """Whether any of the measures needs the images themselves."""
        return any(measure.needs_pixels for measure in self.measures.values())

    def metric_name(self, split: str, key: str) -> str:
        """The name under which the value `key` of `compute` is logged: `val/fid_mnist`, `val/digit_accuracy`."""
        in_space = any(measure.in_feature_space and key in measure.values for measure in self.measures.values())
        return f"{split}/{key}_{self.extractor.name}" if in_space else f"{split}/{key}"

    def directions(self) -> dict[str, Direction]:
        """Which direction is better, by the key of each value that has one."""
        values = [value for measure in self.measures.values() for value in measure.values.items()]
        return {key: direction for key, direction in values if direction is not None}

    def sets(self) -> Comparison:
        """All images of all ranks as the extractor saw them; to be called on all ranks."""
        return Comparison(self.real.all(), self.generated.all(), self.training.all(), self.seed, self.pixels)

    def compute(self, against_training: bool = True) -> dict[str, float]:
        """The values of the measures by key, none of them NaN; to be called on all ranks.

        Args:
            against_training: False leaves out the measures that compare with the training images, as for images that
                are themselves taken from these.
        """
        sets = self.sets()
        values: dict[str, float] = {}
        skipped: dict[str, str] = {}
        unreliable: list[str] = []
        if is_first_rank():
            with full_precision(self.extractor.device):
                for name, measure in self.measures.items():
                    if measure.needs_training and not against_training:
                        continue
                    if reason := measure.missing(sets):
                        skipped[name] = reason
                        continue
                    computed = measure.compute(sets)
                    if wrong := [key for key, value in computed.items() if math.isnan(value) or key in values]:
                        skipped[name] = f"{name} computed NaN, or what another measure computes, as {', '.join(wrong)}"
                        continue
                    values |= computed
                    unreliable += filter(None, [measure.unreliable(sets)])
        values, self.skipped, unreliable = from_first_rank((values, skipped, unreliable))
        self._warn(unreliable)
        return values

    def intervals(self, values: dict[str, float], confidence: float) -> dict[str, Interval]:
        """Bootstrap confidence intervals of values that `compute` has returned; to be called on all ranks.

        Args:
            confidence: such as 0.95.
        """
        sets = self.sets()
        resamples = Resamples(self.seed, len(sets.generated), sets.generated.labels)
        found: dict[str, Interval] = {}
        if is_first_rank():
            with full_precision(self.extractor.device):
                for measure in self.measures.values():
                    if values.keys() & measure.values.keys():
                        for key, rows in measure.resampled(sets, resamples).items():
                            found[key] = interval(values[key], rows, confidence, measure.bounds)
        return from_first_rank(found)

    def _warn(self, unreliable: list[str]) -> None:
        """Warns, in one line and once, of measures of too few images."""
        new = [text for text in unreliable if text not in self._warned]
        self._warned.update(new)
        if new and is_first_rank():
            log.warning("too few images to say much: %s", "; ".join(new))
