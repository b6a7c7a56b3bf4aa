"""Measures sets of images beside their floor: what `gan evaluate` and `gan.evaluate.measure` share."""

import itertools
import logging
import re
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor
from tqdm import tqdm

from gan.atomic_write import write_atomic, write_json
from gan.data import MNISTDataModule, Source
from gan.errors import UserError
from gan.evaluate.pictures import save_pictures
from gan.evaluate.sets import CHUNK, Floor, ImageSet, Labels
from gan.evaluate.table import Intervals, Values, markdown, over_repeats
from gan.inference.arguments import find_device
from gan.metrics import ImageMeasures, build_extractor, build_measures
from gan.metrics.features import FeatureCollector
from gan.metrics.measures import MEASURES, REST
from gan.metrics.measures.base import Direction, LabeledImages, Pixels

log = logging.getLogger("gan")


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Attributes:
        columns: by set of images, and `floor`, the values by name, such as `test/fid_mnist`. Of several repeats they
            are means, with `<name>_spread` beside them.
        intervals: by column and name, the bounds of the confidence interval of a single repeat.
        better: which direction is better, by name.
        facts: the settings that the values depend on.
    """

    columns: dict[str, Values]
    intervals: dict[str, Intervals]
    better: dict[str, Direction]
    facts: dict[str, Any]

    def markdown(self) -> str:
        """The table."""
        return markdown(self.columns, self.better, self.intervals)

    def save(self, folder: Path, checkpoints: Mapping[Path, str], images: Sequence[str]) -> None:
        """Writes `metrics.md`, and `metrics.json`, which names what was measured: checkpoints with their versions."""
        content: dict[str, Any] = {"checkpoints": [str(path) for path in checkpoints]}
        content["versions"] = [*checkpoints.values()]
        content |= {"images": images} if images else {}
        content |= {**self.facts, "better": self.better, "measures": self.columns, "intervals": self.intervals}
        write_json(folder / "metrics.json", content)
        write_atomic(folder / "metrics.md", self.markdown())


def compare(
    sets: Sequence[ImageSet], data: MNISTDataModule, labels: Labels, cfg: DictConfig, folder: Path | None
) -> Evaluation:
    """The measures of each set, and of a floor with such labels. Writes pictures into the folder, if there is one.

    Lowers the config's `num_samples` where given images are fewer.
    """
    real = (data.test_images, data.test_labels) if cfg.split == "test" else (data.val_images, data.val_labels)
    lowered = _settle_num_samples(sets, cfg)
    measures = choose_measures(cfg, data.source, sets, len(real[0]), lowered)
    floor = Floor(data, labels, len(real[0]), cfg)
    pixels = _pixels(data, real, cfg) if any(measure.needs_pixels for measure in measures.measures.values()) else []
    num_pixels = max((measure.num_pixels for measure in measures.measures.values()), default=0)
    counts = [min(num_pixels, one.size) for one in sets if one.labeled for _ in pixels]
    for measure in measures.measures.values():
        if cost := measure.cost(counts, pixels[: len(floor.parts)], measures.extractor.device):
            log.info("%s", cost)
    _add(measures.real, *real, "real images")
    if measures.need_training:
        _add(measures.training, data.train_images, data.train_labels, "training images")
    folders = folder_names([one.name for one in sets])
    columns: dict[str, Values] = {}
    intervals: dict[str, Intervals] = {}
    for one in [*sets, floor]:
        results = []
        for repeat in range(len(floor.parts) if one is floor else cfg.repeats):
            if pixels:
                of_floor = pixels[repeat]
                measures.pixels = of_floor if one is floor else _with_examples(of_floor, one, num_pixels, repeat)
            results.append(_measure_set(measures, one, repeat, cfg))
        columns[one.name], intervals[one.name] = over_repeats(results)
        if folder is not None and one is not floor:
            pictures = folder if len(sets) == 1 else folder / folders[one.name]
            save_pictures(pictures, *one.shown(), real[0], data.train_images, measures)
    values = [value for measure in measures.measures.values() for value in measure.values.items()]
    better = {measures.metric_name(cfg.split, key): direction for key, direction in values if direction is not None}
    facts = {key: cfg[key] for key in ("num_samples", "repeats", "split", "seed", "confidence")}
    return Evaluation(columns, intervals, better, {**facts, "labels": labels, "data": data.source.name})


def folder_names(names: Sequence[str]) -> dict[str, str]:
    """By set of images, the name of the folder for its pictures: no two are the same, and none leads elsewhere."""
    folders: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[/\\]|^\.+", "_", name)
        numbered = itertools.chain([plain], (f"{plain}_{number}" for number in itertools.count(2)))
        folders[name] = next(folder for folder in numbered if folder not in folders.values())
    return folders


def _settle_num_samples(sets: Sequence[ImageSet], cfg: DictConfig) -> bool:
    """Lowers `num_samples` to the smallest set, as most measures change with the number; returns whether it did."""
    count, name = min((one.size, one.name) for one in sets)
    if count < cfg.repeats:
        raise UserError(f"repeats={cfg.repeats}: {name} has {count} images")
    if count >= cfg.num_samples * cfg.repeats:
        return False
    lowered = count // cfg.repeats
    log.warning(
        f"num_samples={cfg.num_samples}, repeats={cfg.repeats}: {name} has {count:,} images, so each set and the "
        f"floor are measured on {lowered:,}"
    )
    cfg.num_samples = lowered
    return True


def _pixels(data: MNISTDataModule, real: tuple[Tensor, Tensor], cfg: DictConfig) -> list[Pixels]:
    """The images themselves for the floor of each repeat."""
    training = LabeledImages(data.train_images, data.train_labels)
    if cfg.split == "test" and data.val_size:  # the validation images are not used then
        images = torch.cat([data.train_images, data.val_images])
        training = LabeledImages(images, torch.cat([data.train_labels, data.val_labels]))
    return [
        Pixels(None, training, LabeledImages(*real), cfg.seed + repeat, "real images") for repeat in range(cfg.repeats)
    ]


def _with_examples(pixels: Pixels, one: ImageSet, count: int, repeat: int) -> Pixels | None:
    return replace(pixels, generated=one.examples(count, repeat), name=one.name) if one.labeled else None


def choose_measures(
    cfg: DictConfig, source: Source, sets: Sequence[ImageSet], num_real: int, lowered: bool
) -> ImageMeasures:
    """The measures named in `metrics.measures`; of the others, if it wants them, all that fit the data and are fast.

    Where `num_samples` was `lowered` to the images there are, those of the others that need more are left out.
    """
    extractor = build_extractor(cfg.metrics.extractor, cfg.metrics.inception_weights, find_device(cfg.device))
    if reason := extractor.misfit(source):
        raise UserError(reason)
    wanted = [REST] if cfg.metrics.measures is None else cfg.metrics.measures
    built = build_measures(wanted, extractor)
    if not built:
        raise UserError("metrics.measures=[]: name at least one; null: all that fit the data")
    rest = [name for name, kind in MEASURES.items() if name not in wanted and not kind.only_by_name]
    chosen, left_out = [], defaultdict(list)
    for measure in built:
        fits = measure.num_classes in (None, source.num_classes)
        slow = extractor.slow and (measure.needs_training or measure.num_classes is not None)
        if REST in wanted and measure.name in rest:
            if measure.least_real > num_real:
                left_out[f"{source.name} has {num_real}"].append(measure.name)
                continue
            if lowered and measure.least_generated > cfg.num_samples:
                left_out[f"each set has {cfg.num_samples}"].append(measure.name)
                continue
            if slow or not fits:
                continue
        elif not fits:
            raise UserError(
                f"metrics.measures: {measure.name} is of {measure.num_classes} classes, not {source.name}'s"
            )
        elif measure.needs_labels and not any(one.labeled for one in sets):
            raise UserError(f"metrics.measures: {measure.name} needs a conditional model, or images with labels")
        if reason := measure.too_few(num_real, cfg.num_samples):
            raise UserError(f"num_samples={cfg.num_samples}, metrics.measures: {reason}")
        published = measure.published_samples.get(source.channels, cfg.num_samples)
        if published != cfg.num_samples:
            log.warning(
                "num_samples=%d: published numbers of %s are of %d samples", cfg.num_samples, measure.name, published
            )
        chosen.append(measure)
    for reason, names in left_out.items():
        log.warning("left out, as %s images: %s", reason, ", ".join(names))
    return ImageMeasures(extractor, chosen, seed=cfg.seed)


def _add(collector: FeatureCollector, images: Tensor, labels: Tensor, name: str) -> None:
    for chosen in progress(torch.arange(len(images)).split(CHUNK), name):
        collector.add(images[chosen], labels[chosen])


def _measure_set(measures: ImageMeasures, one: ImageSet, repeat: int, cfg: DictConfig) -> tuple[Values, Intervals]:
    """The measures of a repeat of one set of images, and their confidence intervals."""
    measures.generated.clear()
    seconds = 0.0  # without the time in which the images are made
    for images, labels in progress(one.samples(cfg.num_samples, repeat), one.name):
        started = time.perf_counter()
        measures.generated.add(images, labels)
        seconds += time.perf_counter() - started
    started = time.perf_counter()
    values = measures.compute(against_training=not isinstance(one, Floor))
    intervals = {} if cfg.confidence is None else measures.intervals(values, cfg.confidence)
    log.info("%s measured in %.1f s", one.name, seconds + time.perf_counter() - started)
    for skipped, reason in measures.skipped.items():
        if one.labeled or not measures.measures[skipped].needs_labels:
            raise UserError(f"num_samples={cfg.num_samples}, metrics.measures: {reason}")

    def named(found: dict[str, Any]) -> dict[str, Any]:
        return {measures.metric_name(cfg.split, key): value for key, value in found.items()}

    return named(values), named(intervals)


def progress(items: Any, what: str) -> Any:
    """The items, with a progress bar on a terminal."""
    return tqdm(items, desc=what, leave=False, disable=None)
