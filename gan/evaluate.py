"""Measures what a checkpoint draws: `gan evaluate ckpt=last`, or several for one table: `'ckpt=[a.ckpt,b.ckpt]'`.

The floor is computed in the same run: training images in place of generated ones, as many as samples.
"""

import json
import logging
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning import LightningDataModule
from omegaconf import DictConfig, ListConfig
from torch import Tensor
from tqdm import tqdm

from gan.checkpoint import checkpoint_path
from gan.config import instantiate, settle_output_dir
from gan.errors import UserError
from gan.inference import DigitGenerator
from gan.metrics import ImageMeasures, build_extractor, metric_name
from gan.pictures import save_pictures
from gan.randomness import derive_seed

log = logging.getLogger("gan")
Values = dict[str, float]


def evaluate(cfg: DictConfig) -> dict[str, Values]:
    """Writes `metrics.json`, `metrics.md` and pictures into the run's folder.

    Args:
        cfg: of `conf/evaluate.yaml`.

    Returns:
        By column of the table (the checkpoints, and `floor`), the measures by name, such as `test/fid_mnist`.

    Raises:
        UserError: a checkpoint or a value that cannot be used, or too few images for a measure.
    """
    folder = settle_output_dir(cfg, "evaluate")
    named = list(cfg.ckpt) if isinstance(cfg.ckpt, ListConfig) else [cfg.ckpt]
    paths = [checkpoint_path(str(ckpt), "ckpt") for ckpt in named]
    generators = [DigitGenerator.from_checkpoint(path, cfg.device, cfg.trust) for path in paths]
    if cfg.split not in ("test", "val") or cfg.num_samples < 1 or cfg.repeats < 1:
        raise UserError(
            f"split={cfg.split}, num_samples={cfg.num_samples}, repeats={cfg.repeats}: split is test or val, numbers "
            "are at least 1"
        )
    data: LightningDataModule = instantiate(cfg.data)
    data.prepare_data()
    data.setup()
    measures = _measures(cfg, data, generators)

    columns: dict[str, Values] = {}
    names = _short_names(paths)
    for name, generator in zip(names, generators, strict=True):
        draws = [_measure(measures, _drawn(generator, cfg, cfg.seed + i), name, cfg.split) for i in range(cfg.repeats)]
        columns[name] = _joined(draws)
        if name == names[0]:
            folder.mkdir(parents=True, exist_ok=True)
            save_pictures(folder, generator, data, measures, cfg.seed)
    floor = _measure(measures, _training_sample(data, cfg), "floor", cfg.split)
    columns["floor"] = {key: value for key, value in floor.items() if "memorization" not in key}

    facts = {
        "checkpoints": [str(path) for path in paths],
        "num_samples": cfg.num_samples,
        "repeats": cfg.repeats,
        "split": cfg.split,
        "data": data.source.name,
        "seed": cfg.seed,
    }
    (folder / "metrics.json").write_text(json.dumps({**facts, "measures": columns}, indent=2) + "\n")
    table = markdown(columns)
    (folder / "metrics.md").write_text(table)
    log.info("%s\n%s", table, folder)
    return columns


def markdown(columns: dict[str, Values]) -> str:
    """A Markdown table: a row for each measure, a column for each checkpoint and the floor."""
    rows = list(dict.fromkeys(key for values in columns.values() for key in values if not key.endswith("_spread")))
    lines = ["| measure | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    for row in rows:
        cells = []
        for values in columns.values():
            spread = f" ± {values[f'{row}_spread']:.2g}" if f"{row}_spread" in values else ""
            cells.append(f"{values[row]:.4g}{spread}" if row in values else "-")
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _measures(cfg: DictConfig, data: LightningDataModule, generators: list[DigitGenerator]) -> ImageMeasures:
    """With the real images in it, and those trained on."""
    extractor = build_extractor(cfg.metrics.extractor, cfg.metrics.inception_weights)
    if extractor.reads_digits and not data.source.shows_digits:
        raise UserError(f"metrics.extractor=mnist: {data.source.name} shows no digits; use metrics.extractor=inception")
    for generator in generators:
        if generator.image_channels != data.source.channels:
            raise UserError(
                f"data={data.source.name}: its images have {data.source.channels} channels, those of the model "
                f"{generator.image_channels}"
            )
    images, labels = (data.test_images, data.test_labels) if cfg.split == "test" else (data.val_images, data.val_labels)
    device = generators[0].device
    extractor = extractor if device.type == "mps" else extractor.to(device)
    measures = ImageMeasures(extractor, cfg.metrics.measures, seed=cfg.seed)
    if cfg.metrics.measures is None:
        too_few = [name for name in measures.measures if measures.least_images(name)[0] > len(images)]
        if too_few:
            log.warning(
                "left out, %s has %d %s images: %s", data.source.name, len(images), cfg.split, ", ".join(too_few)
            )
            measures = ImageMeasures(
                extractor, [name for name in measures.measures if name not in too_few], seed=cfg.seed
            )
    for part in _progress(range(0, len(images), 500), "real images"):
        measures.update_real(images[part : part + 500], labels[part : part + 500])
    if "memorization" in measures.measures:
        for part in _progress(range(0, len(data.train_images), 500), "training images"):
            measures.update_training(data.train_images[part : part + 500])
    return measures


def _drawn(generator: DigitGenerator, cfg: DictConfig, seed: int) -> Iterator[tuple[Tensor, Tensor | None]]:
    start = 0
    for images in generator.stream(cfg.num_samples, seed=seed):
        yield images, generator.labels(None, start, start + len(images))
        start += len(images)


def _training_sample(data: LightningDataModule, cfg: DictConfig) -> Iterator[tuple[Tensor, Tensor]]:
    order = torch.randperm(len(data.train_images), generator=torch.Generator().manual_seed(derive_seed(cfg.seed)))
    for chosen in order[: cfg.num_samples].split(500):
        yield data.train_images[chosen], data.train_labels[chosen]


def _measure(measures: ImageMeasures, batches: Iterator[tuple[Tensor, Tensor | None]], name: str, split: str) -> Values:
    """The measures of one set of images; says how long they took, the drawing left out."""
    measures.reset_generated()
    seconds = 0.0
    labelled = False
    for images, labels in _progress(batches, name):
        labelled = labels is not None
        started = time.perf_counter()
        measures.update_generated(images, labels)
        seconds += time.perf_counter() - started
    started = time.perf_counter()
    values = measures.compute()
    log.info("%s measured in %.1f s", name, seconds + time.perf_counter() - started)
    for measure, reason in measures.skipped.items():
        if measure != "digit_accuracy" or labelled:
            raise UserError(f"num_samples, metrics.measures: {reason}")
    return {metric_name(split, key, measures.extractor.name): value for key, value in values.items()}


def _joined(draws: list[Values]) -> Values:
    """Means over the draws and, of several, their standard deviation as `<name>_spread`."""
    means = {key: statistics.fmean(draw[key] for draw in draws) for key in draws[0]}
    if len(draws) == 1:
        return means
    return means | {f"{key}_spread": statistics.stdev(draw[key] for draw in draws) for key in means}


def _short_names(paths: list[Path]) -> list[str]:
    """What tells the files apart: the run's folder and the file's name."""
    names = [
        f"{path.parent.parent.name}/{path.stem}" if path.parent.name == "checkpoints" else path.stem for path in paths
    ]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _progress(items: Any, what: str) -> Any:
    return tqdm(items, desc=what, leave=False, disable=None)
