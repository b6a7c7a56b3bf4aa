"""Which measures an evaluation takes, and the measures of one set of images."""

import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any

from lightning import LightningDataModule
from omegaconf import DictConfig
from torch import Tensor
from tqdm import tqdm

from gan.data import Source
from gan.errors import UserError
from gan.evaluate.table import Values
from gan.inference import DigitGenerator
from gan.metrics import ImageMeasures, build_extractor, build_measures

log = logging.getLogger("gan")
Batches = Iterable[tuple[Tensor, Tensor | None]]
CHUNK = 500


def choose_measures(
    cfg: DictConfig, source: Source, generators: Sequence[DigitGenerator], num_real: int
) -> ImageMeasures:
    """The measures named in `metrics.measures`; without names, all that the data has enough images for.

    Raises:
        UserError: an extractor, a measure or a number of images that does not fit the data or the models.
    """
    extractor = build_extractor(cfg.metrics.extractor, cfg.metrics.inception_weights, generators[0].device)
    if reason := extractor.misfit(source):
        raise UserError(reason)
    _check_models(source, generators)
    unconditional = all(generator.num_classes is None for generator in generators)
    chosen = build_measures(cfg.metrics.measures, extractor)
    if cfg.metrics.measures is None:
        left_out = [measure.name for measure in chosen if measure.least_real > num_real]
        if left_out:
            log.warning("left out, as %s has %d images: %s", source.name, num_real, ", ".join(left_out))
        chosen = [
            measure
            for measure in chosen
            if measure.name not in left_out and not (measure.needs_training and extractor.slow)
        ]
    for measure in chosen:
        if measure.needs_labels and unconditional and cfg.metrics.measures is not None:
            raise UserError(f"metrics.measures: {measure.name} needs a conditional model")
        if reason := measure.too_few(num_real, cfg.num_samples):
            raise UserError(f"num_samples={cfg.num_samples}, metrics.measures: {reason}")
        published = measure.published_samples.get(source.channels, cfg.num_samples)
        if published != cfg.num_samples:
            log.warning(
                "num_samples=%d: published numbers of %s are of %d samples", cfg.num_samples, measure.name, published
            )
    return ImageMeasures(extractor, chosen, seed=cfg.seed)


def measure_real(measures: ImageMeasures, data: LightningDataModule, images: Tensor, labels: Tensor) -> None:
    """Gives the measures the real images and, where one needs them, the training images."""
    for chunk, chunk_labels in _progress(chunks(images, labels), "real images"):
        measures.real.add(chunk, chunk_labels)
    if measures.need_training:
        for chunk, _ in _progress(chunks(data.train_images, data.train_labels), "training images"):
            measures.training.add(chunk)


def measure_set(
    measures: ImageMeasures, batches: Batches, name: str, cfg: DictConfig, against_training: bool = True
) -> Values:
    """The measures of one set of images; logs how long they took, without the time in which `batches` made the images.

    Raises:
        UserError: a measure lacks something, except labels where the model takes none.
    """
    measures.generated.clear()
    seconds, labeled = 0.0, False
    for images, labels in _progress(batches, name):
        labeled = labels is not None
        started = time.perf_counter()
        measures.generated.add(images, labels)
        seconds += time.perf_counter() - started
    started = time.perf_counter()
    values = measures.compute(against_training)
    log.info("%s measured in %.1f s", name, seconds + time.perf_counter() - started)
    for skipped, reason in measures.skipped.items():
        if labeled or not measures.measures[skipped].needs_labels:
            raise UserError(f"num_samples={cfg.num_samples}, metrics.measures: {reason}")
    return {measures.metric_name(cfg.split, key): value for key, value in values.items()}


def chunks(images: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The images with their labels, in batches."""
    return list(zip(images.split(CHUNK), labels.split(CHUNK), strict=True))


def _check_models(source: Source, generators: Sequence[DigitGenerator]) -> None:
    for generator in generators:
        if generator.image_channels != source.channels:
            channels = f"{source.channels} channels, those of the model {generator.image_channels}"
            raise UserError(f"data={source.name}: its images have {channels}")
        if generator.data not in (None, source.name):
            log.warning("data=%s: the model was trained on %s", source.name, generator.data)


def _progress(items: Any, what: str) -> Any:
    return tqdm(items, desc=what, leave=False, disable=None)
