"""Measures of a set of generated images against real ones, from one forward pass of the extractor per image."""

import logging
import math
from collections.abc import Iterable, Mapping
from typing import Any

from gan.metrics.bootstrap import Interval, Resamples, interval
from gan.metrics.extractor import Extractor
from gan.metrics.features import FeatureCollector, on_first_rank
from gan.metrics.measures import build_measures
from gan.metrics.measures.base import Comparison, Measure, Pixels
from gan.metrics.precision import full_precision

log = logging.getLogger("gan")


class ImageMeasures:
    """Collects real and generated images and computes the chosen measures.

    Real and training images are added once and kept, with every statistic that depends on them alone. Generated ones
    are cleared between sets. It is no nn.Module, so a callback or a module that holds one does not save it.

    Under several ranks each adds its own share of the images, and all call `compute` and get the same numbers. The
    order of the images, their batches and their ranks change no number beyond rounding.

    Args:
        extractor: of `build_extractor`, on the device that everything is to run on.
        measures: see `build_measures`; None means all that fit the extractor.
        seed: of all random draws; the global generator is left alone.

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
        self.real, self.generated, self.training = (FeatureCollector(extractor) for _ in range(3))

    @property
    def need_training(self) -> bool:
        """Whether any of the measures compares with the training images."""
        return any(measure.needs_training for measure in self.measures.values())

    def metric_name(self, split: str, key: str) -> str:
        """The name under which the value `key` of `compute` is logged: `val/fid_mnist`, `val/digit_accuracy`."""
        in_space = any(measure.in_feature_space and key in measure.values for measure in self.measures.values())
        return f"{split}/{key}_{self.extractor.name}" if in_space else f"{split}/{key}"

    def sets(self) -> Comparison:
        """All images of all ranks as the extractor saw them; to be called on all ranks."""
        return Comparison(self.real.all(), self.generated.all(), self.training.all(), self.seed, self.pixels)

    def compute(self, against_training: bool = True) -> dict[str, float]:
        """The values of the measures by key, none of them NaN; to be called on all ranks.

        Without `against_training` the measures that compare with the training images are left out, as for images that
        are themselves taken from these.
        """
        sets = self.sets()
        values, self.skipped = on_first_rank(lambda: self._compute(sets, against_training))
        return values

    def _compute(self, sets: Comparison, against_training: bool) -> tuple[dict[str, float], dict[str, str]]:
        """The values, and by name why a measure is left out."""
        values: dict[str, float] = {}
        skipped: dict[str, str] = {}
        new: list[str] = []
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
                if (few := measure.unreliable(sets)) and few not in self._warned:
                    new.append(few)
        if new:
            self._warned.update(new)
            log.warning("too few images to say much: %s", "; ".join(new))
        return values, skipped

    def intervals(self, values: dict[str, float], confidence: float) -> dict[str, Interval]:
        """Bootstrap intervals of what `compute` returned, at a confidence such as 0.95; to be called on all ranks."""
        sets = self.sets()
        return on_first_rank(lambda: self._intervals(sets, values, confidence))

    def _intervals(self, sets: Comparison, values: dict[str, float], confidence: float) -> dict[str, Interval]:
        resamples = Resamples(self.seed, len(sets.generated), sets.generated.labels)
        with full_precision(self.extractor.device):
            return {
                key: interval(values[key], rows, confidence, measure.bounds)
                for measure in self.measures.values()
                if values.keys() & measure.values.keys()
                for key, rows in measure.resampled(sets, resamples).items()
            }
