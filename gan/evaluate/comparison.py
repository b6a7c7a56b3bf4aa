"""Measures sets of images beside their floor: what `gan evaluate` and `gan.evaluate.measure` share."""

import itertools
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from gan.atomic_write import write_atomic, write_json
from gan.data import MNISTDataModule
from gan.data.batches import spread
from gan.errors import UserError
from gan.evaluate.measuring import choose_measures, measure_real, measure_set
from gan.evaluate.pictures import save_pictures
from gan.evaluate.sets import ImageSet, Labels, batches
from gan.evaluate.table import Intervals, Values, markdown, mean_intervals, means_and_spreads
from gan.metrics import ImageMeasures
from gan.metrics.measures.base import Direction, LabeledImages, Pixels
from gan.randomness import derive_seed

log = logging.getLogger("gan")


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Attributes:
        columns: by set of images, and `floor`, the values by name, such as `test/fid_mnist`. Of several repeats they
            are means, with `<name>_spread` beside them.
        intervals: by column and name, the bounds of the confidence interval of a single repeat.
        better: which direction is better, by name.
    """

    columns: dict[str, Values]
    intervals: dict[str, Intervals]
    better: dict[str, Direction]

    def markdown(self) -> str:
        """The table."""
        return markdown(self.columns, self.better, self.intervals)

    def save(self, folder: Path, facts: Mapping[str, Any]) -> None:
        """Writes `metrics.json`, with further facts, and `metrics.md`."""
        content = {**facts, "better": self.better, "measures": self.columns, "intervals": self.intervals}
        write_json(folder / "metrics.json", content)
        write_atomic(folder / "metrics.md", self.markdown())


def compare(
    sets: Sequence[ImageSet], data: MNISTDataModule, labels: Labels, cfg: DictConfig, folder: Path | None
) -> Evaluation:
    """The measures of each set and of the floor. Writes pictures into the folder, if there is one.

    Args:
        data: set up.
        labels: "real" or "even", for the floor.
        cfg: of `conf/evaluate.yaml`; its `num_samples` is lowered where given images are fewer.

    Raises:
        UserError: a measure or a number of images that does not fit the data or the sets.
    """
    real = (data.test_images, data.test_labels) if cfg.split == "test" else (data.val_images, data.val_labels)
    _settle_num_samples(sets, cfg)
    measures = choose_measures(cfg, data.source, sets, num_real=len(real[0]))
    parts = _floor_parts(data.train_labels, labels, len(real[0]), cfg)
    pixels = _pixels(data, real, cfg) if measures.need_pixels else []
    counts = [_num_examples(one, measures) for one in sets if one.labeled for _ in pixels]
    for measure in measures.measures.values():
        if cost := measure.cost(counts, pixels[: len(parts)], measures.extractor.device):
            log.info("%s", cost)
    measure_real(measures, data, *real)
    folders = folder_names([one.name for one in sets])
    columns: dict[str, Values] = {}
    intervals: dict[str, Intervals] = {}
    for one in sets:
        results = []
        for repeat in range(cfg.repeats):
            if pixels:
                measures.pixels = _with_examples(pixels[repeat], one, repeat, measures)
            results.append(measure_set(measures, one.samples(cfg.num_samples, repeat), one.name, cfg))
        columns[one.name], intervals[one.name] = _over_repeats(results)
        if folder is not None:
            pictures = folder if len(sets) == 1 else folder / folders[one.name]
            save_pictures(pictures, *one.shown(), real[0], data.train_images, measures, cfg.seed)
    results = []
    for repeat, part in enumerate(parts):
        measures.pixels = pixels[repeat] if pixels else None
        samples = batches(data.train_images[part], data.train_labels[part] if data.source.num_classes else None)
        results.append(measure_set(measures, samples, "floor", cfg, against_training=False))
    columns["floor"], intervals["floor"] = _over_repeats(results)
    better = {measures.metric_name(cfg.split, key): direction for key, direction in measures.directions().items()}
    return Evaluation(columns, intervals, better)


def folder_names(names: Sequence[str]) -> dict[str, str]:
    """By set of images, the name of the folder for its pictures: no two are the same, and none leads elsewhere."""
    folders: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[/\\]|^\.+", "_", name)
        numbered = itertools.chain([plain], (f"{plain}_{number}" for number in itertools.count(2)))
        folders[name] = next(folder for folder in numbered if folder not in folders.values())
    return folders


def _over_repeats(results: list[tuple[Values, Intervals]]) -> tuple[Values, Intervals]:
    values, intervals = ([*each] for each in zip(*results, strict=True))
    return means_and_spreads(values), mean_intervals(intervals)


def _settle_num_samples(sets: Sequence[ImageSet], cfg: DictConfig) -> None:
    """All columns are of equally many images, since most measures change with their number."""
    wanted = cfg.num_samples * cfg.repeats
    count, name = min((one.num_examples(wanted), one.name) for one in sets)
    if count < cfg.repeats:
        raise UserError(f"repeats={cfg.repeats}: {name} has {count} images")
    if count < wanted:
        lowered = count // cfg.repeats
        log.warning(
            f"num_samples={cfg.num_samples}, repeats={cfg.repeats}: {name} has {count:,} images, so each set and the "
            f"floor are measured on {lowered:,}"
        )
        cfg.num_samples = lowered


def _floor_parts(labels: Tensor, kind: Labels, num_real: int, cfg: DictConfig) -> list[Tensor]:
    """Indices of the floor's images for each repeat, in the data's class proportions or equally many of each class.

    No image is in two parts. If there are too few images for that, there are fewer parts. As many as the real images
    are drawn at random; of fewer, chance would decide the proportions, so each class has its share.
    """
    generator = torch.Generator().manual_seed(derive_seed(cfg.seed))
    order = torch.randperm(len(labels), generator=generator)
    if cfg.num_samples < num_real:
        order = order[spread(labels[order], generator)]
    pools = [order] if kind == "real" else [order[labels[order] == label] for label in labels.unique()]
    each = -(-cfg.num_samples // len(pools))
    parts = max(1, min(cfg.repeats, *(len(pool) // each for pool in pools)))
    chosen = [_in_turn([pool[i * each : (i + 1) * each] for pool in pools])[: cfg.num_samples] for i in range(parts)]
    if len(chosen[0]) < cfg.num_samples:
        log.warning("the floor is of %d images, not %d: there are no more", len(chosen[0]), cfg.num_samples)
    return chosen


def _in_turn(pools: list[Tensor]) -> Tensor:
    """The first of each pool, then the second of each, and so on."""
    return torch.cat(pools)[torch.cat([torch.arange(len(pool)) for pool in pools]).argsort(stable=True)]


def _pixels(data: MNISTDataModule, real: tuple[Tensor, Tensor], cfg: DictConfig) -> list[Pixels]:
    """The images themselves for the floor of each repeat."""
    training = LabeledImages(data.train_images, data.train_labels)
    if cfg.split == "test" and data.val_size:  # the validation images are not used then
        images = torch.cat([data.train_images, data.val_images])
        training = LabeledImages(images, torch.cat([data.train_labels, data.val_labels]))
    return [
        Pixels(None, training, LabeledImages(*real), cfg.seed + repeat, "real images") for repeat in range(cfg.repeats)
    ]


def _num_examples(one: ImageSet, measures: ImageMeasures) -> int:
    return one.num_examples(max(measure.num_pixels for measure in measures.measures.values()))


def _with_examples(pixels: Pixels, one: ImageSet, repeat: int, measures: ImageMeasures) -> Pixels | None:
    if not one.labeled:
        return None
    return replace(pixels, generated=one.examples(_num_examples(one, measures), repeat), name=one.name)
