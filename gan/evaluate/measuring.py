"""Which measures an evaluation takes, and the measures of one set of images."""

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any

from omegaconf import DictConfig
from torch import Tensor
from tqdm import tqdm

from gan.data import MNISTDataModule, Source
from gan.errors import UserError
from gan.evaluate.sets import Batches, ImageSet, batches
from gan.evaluate.table import Intervals, Values
from gan.inference.device import find_device
from gan.metrics import ImageMeasures, Measure, build_extractor, build_measures
from gan.metrics.extractor import Extractor
from gan.metrics.measures import MEASURES, REST

log = logging.getLogger("gan")


def choose_measures(cfg: DictConfig, source: Source, sets: Sequence[ImageSet], num_real: int) -> ImageMeasures:
    """The measures named in `metrics.measures`; without names, all that the data has enough images for.

    Raises:
        UserError: an extractor, a measure or a number of images that does not fit the data or the sets.
    """
    extractor = build_extractor(cfg.metrics.extractor, cfg.metrics.inception_weights, find_device(cfg.device))
    if reason := extractor.misfit(source):
        raise UserError(reason)
    wanted = [REST] if cfg.metrics.measures is None else cfg.metrics.measures
    built = build_measures(wanted, extractor)
    unnamed = [name for name, kind in MEASURES.items() if name not in wanted and not kind.only_by_name]
    rest = unnamed if REST in wanted else []
    chosen = list(_with_a_meaning(built, rest, extractor, source, num_real))
    for measure in chosen:
        if measure.num_classes not in (None, source.num_classes):
            raise UserError(
                f"metrics.measures: {measure.name} is of {measure.num_classes} classes, not {source.name}'s"
            )
        if measure.needs_labels and measure.name not in rest and not any(one.labeled for one in sets):
            raise UserError(f"metrics.measures: {measure.name} needs a conditional model, or images with labels")
        if reason := measure.too_few(num_real, cfg.num_samples):
            raise UserError(f"num_samples={cfg.num_samples}, metrics.measures: {reason}")
        published = measure.published_samples.get(source.channels, cfg.num_samples)
        if published != cfg.num_samples:
            log.warning(
                "num_samples=%d: published numbers of %s are of %d samples", cfg.num_samples, measure.name, published
            )
    return ImageMeasures(extractor, chosen, seed=cfg.seed)


def _with_a_meaning(
    measures: Sequence[Measure], rest: Sequence[str], extractor: Extractor, source: Source, num_real: int
) -> Iterator[Measure]:
    """Those that are named, and of the rest those that fit the data and take little time."""
    too_large = []
    for measure in measures:
        fits = measure.num_classes in (None, source.num_classes)
        slow = extractor.slow and (measure.needs_training or measure.num_classes is not None)
        if measure.name not in rest:
            yield measure
        elif measure.least_real > num_real:
            too_large.append(measure.name)
        elif fits and not slow:
            yield measure
    if too_large:
        log.warning("left out, as %s has %d images: %s", source.name, num_real, ", ".join(too_large))


def measure_real(measures: ImageMeasures, data: MNISTDataModule, images: Tensor, labels: Tensor) -> None:
    """Gives the measures the real images and, where one needs them, the training images."""
    for chunk, chunk_labels in progress(list(batches(images, labels)), "real images"):
        measures.real.add(chunk, chunk_labels)
    if measures.need_training:
        for chunk, _ in progress(list(batches(data.train_images, data.train_labels)), "training images"):
            measures.training.add(chunk)


def measure_set(
    measures: ImageMeasures, samples: Batches, name: str, cfg: DictConfig, against_training: bool = True
) -> tuple[Values, Intervals]:
    """The measures of one set of images, and their confidence intervals.

    Logs how long they took, without the time in which the images were made.

    Raises:
        UserError: a measure lacks something, except labels where the set has none.
    """
    measures.generated.clear()
    seconds, labeled = 0.0, False
    for images, labels in progress(samples, name):
        labeled = labels is not None
        started = time.perf_counter()
        measures.generated.add(images, labels)
        seconds += time.perf_counter() - started
    started = time.perf_counter()
    values = measures.compute(against_training)
    intervals = {} if cfg.confidence is None else measures.intervals(values, cfg.confidence)
    log.info("%s measured in %.1f s", name, seconds + time.perf_counter() - started)
    for skipped, reason in measures.skipped.items():
        if labeled or not measures.measures[skipped].needs_labels:
            raise UserError(f"num_samples={cfg.num_samples}, metrics.measures: {reason}")

    def named(found: dict[str, Any]) -> dict[str, Any]:
        return {measures.metric_name(cfg.split, key): value for key, value in found.items()}

    return named(values), named(intervals)


def progress(items: Any, what: str) -> Any:
    """The items, with a progress bar on a terminal."""
    return tqdm(items, desc=what, leave=False, disable=None)
