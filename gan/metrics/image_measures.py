"""Measures of a set of generated images against real ones, from one forward pass of the extractor per image."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from gan.metrics.extractor import Extractor, full_precision
from gan.metrics.features import Samples, Seen, from_first_rank, is_first_rank
from gan.metrics.measures import build_measures
from gan.metrics.measures.appearance import appearance
from gan.metrics.measures.digits import confusion
from gan.metrics.measures.measure import Comparison, Measure
from gan.metrics.measures.neighbours import nearest


class ImageMeasures:
    """Collects real and generated images and computes the chosen measures.

    Real and training images are given once and kept, with every statistic that depends on them alone; generated ones
    are reset between sets. It is no nn.Module: a callback or a module that holds one puts nothing into its checkpoint.

    Under several ranks each gives its own share of the images, and all call `compute`. The first rank measures the
    shares together, and all ranks return its numbers. The order of the images, their batches and their ranks change no
    number beyond rounding. Everything is computed on the extractor's device. Random draws come from `seed`, and the
    global generator is left alone.

    Args:
        extractor: of `build_extractor`, on the device it is to run on.
        measures: see `build_measures`; None means all that fit the extractor.
        seed: of the random draws of measures that make some.

    Attributes:
        measures: the measures by name.
        skipped: after `compute`, the measures that were left out, each with a one-line reason: too few images, no
            labels, no training images.

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
        looks = appearance if any(measure.needs_appearance for measure in self.measures.values()) else None
        self._real, self._generated, self._training = (Samples(extractor, looks) for _ in range(3))

    @property
    def need_training(self) -> bool:
        """Whether any of the measures compares with the training images."""
        return any(measure.needs_training for measure in self.measures.values())

    def metric_name(self, split: str, key: str) -> str:
        """The name under which a value of `compute` is logged: `val/fid_mnist`, `val/digit_accuracy`.

        Args:
            split: train, val or test.
            key: of that value.
        """
        in_space = any(measure.in_feature_space and key in measure.values for measure in self.measures.values())
        return f"{split}/{key}_{self.extractor.name}" if in_space else f"{split}/{key}"

    def update_real(self, images: Tensor, labels: Tensor | None = None) -> None:
        """Adds held-out real images: uint8 [N, C, 28, 28], labels int64 [N]."""
        self._real.add(images, labels)

    def update_training(self, images: Tensor) -> None:
        """Adds images that the model was trained on: uint8 [N, C, 28, 28]."""
        self._training.add(images)

    def update_generated(self, images: Tensor, labels: Tensor | None = None) -> None:
        """Adds generated images: uint8 [N, C, 28, 28], and the labels they were generated for, int64 [N], if any."""
        self._generated.add(images, labels)

    def reset_generated(self) -> None:
        """Forgets the generated images."""
        self._generated.clear()

    def reset_real(self) -> None:
        """Forgets real and training images."""
        self._real.clear()
        self._training.clear()

    def compute(self, against_training: bool = True) -> dict[str, float]:
        """The values of the measures by key, none of them NaN; to be called on all ranks.

        Args:
            against_training: False leaves out the measures that compare with the training images, as for images that
                are themselves taken from these.
        """
        sets = Comparison(self._real.all(), self._generated.all(), self._training.all(), self.seed)
        values: dict[str, float] = {}
        skipped: dict[str, str] = {}
        if is_first_rank():
            with full_precision(self.extractor.device):
                for name, measure in self.measures.items():
                    if measure.needs_training and not against_training:
                        continue
                    if reason := measure.missing(sets):
                        skipped[name] = reason
                    else:
                        values |= measure.compute(sets)
        values, self.skipped = from_first_rank((values, skipped))
        return values

    def seen(self) -> tuple[Seen, Seen]:
        """What the extractor saw in the real and in the generated images, on the CPU; to be called on all ranks."""
        return self._real.all().cpu(), self._generated.all().cpu()

    def confusion(self) -> Tensor:
        """int64 [K, K]: how many generated images with each label (row) were read as each digit (column).

        To be called on all ranks.

        Raises:
            ValueError: the generated images had no labels.
        """
        generated = self._generated.all()
        if generated.labels is None:
            raise ValueError("the generated images were given no labels")
        return confusion(generated.labels, generated.digits, generated.logits.shape[1]).cpu()

    def nearest_training(self, images: Tensor, count: int = 1) -> tuple[Tensor, Tensor]:
        """The training images most like some others in feature space, on a single rank.

        Args:
            images: uint8 [N, C, 28, 28].
            count: neighbours of each.

        Returns:
            Distances float64 [N, count] and indices int64 [N, count] in the order of `update_training`, nearest first.
        """
        queries = Samples(self.extractor)
        queries.add(images)
        distances, indices = nearest(queries.all().features, self._training.all().features, count)
        return distances.cpu(), indices.cpu()
