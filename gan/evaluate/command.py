"""Measures what a checkpoint draws: `gan evaluate ckpt=last`, or several for one table: `'ckpt=[a.ckpt,b.ckpt]'`.

The floor is computed in the same run: training images in place of generated ones, as many as samples. A conditional
model is asked for the digits that the real images show (`labels=real`), so that no part of a distance is due to how
often each digit comes; `labels=even` asks for 0 to 9 in turn, as `gan generate` does, of the model and of the floor.
"""

import json
import logging
import statistics
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from lightning import LightningDataModule
from omegaconf import DictConfig, ListConfig
from torch import Tensor
from tqdm import tqdm

from gan.atomic_write import write_atomic, write_json
from gan.config import instantiate, settle_output_dir
from gan.config.bounds import require_number
from gan.errors import UserError
from gan.evaluate.pictures import save_pictures
from gan.inference import DigitGenerator
from gan.metrics import ImageMeasures, build_extractor, metric_name
from gan.randomness import derive_seed

log = logging.getLogger("gan")
Values = dict[str, float]
Batches = Iterable[tuple[Tensor, Tensor | None]]
CHUNK = 500
STACKED_PROTOCOL = 26_000


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
    if not named:
        raise UserError("ckpt=[]: name at least one checkpoint")
    for key, least in (("num_samples", 1), ("repeats", 1), ("seed", 0)):
        require_number(key, cfg[key], least=least, whole=True)
    if cfg.split not in ("test", "val"):
        raise UserError(f"split={cfg.split}: test or val")
    if cfg.labels not in ("real", "even"):
        raise UserError(f"labels={cfg.labels}: real or even")
    generators = [DigitGenerator.open(ckpt, "ckpt", cfg.device, cfg.trust) for ckpt in named]
    paths = [generator.path for generator in generators]
    unconditional = all(generator.num_classes is None for generator in generators)
    if unconditional and "digit_accuracy" in (cfg.metrics.measures or ()):
        raise UserError("metrics.measures: digit_accuracy takes a conditional model, which is asked for digits")
    if unconditional and cfg.labels == "even":
        raise UserError("labels=even: takes a conditional model, which is asked for digits")
    data: LightningDataModule = instantiate(cfg.data)
    data.prepare_data()
    data.setup()
    real = (data.test_images, data.test_labels) if cfg.split == "test" else (data.val_images, data.val_labels)
    measures = _measures(cfg, data, generators, num_real=len(real[0]))
    for images, labels in _progress(_chunks(*real), "real images"):
        measures.update_real(images, labels)
    if "memorization" in measures.measures:
        for images, _ in _progress(_chunks(data.train_images, data.train_labels), "training images"):
            measures.update_training(images)

    folder.mkdir(parents=True, exist_ok=True)
    columns: dict[str, Values] = {}
    names = _short_names(paths)
    for name, generator in zip(names, generators, strict=True):
        draws = [
            _measure(measures, _drawn(generator, cfg, cfg.seed + index, real[1]), name, cfg)
            for index in range(cfg.repeats)
        ]
        columns[name] = _joined(draws) | _training_minutes(generator.path)
        if name == names[0]:
            save_pictures(folder, generator, real[0], data.train_images, measures, cfg.seed)
    sample = _sample(data.train_labels, cfg)
    floor = _measure(measures, _chunks(data.train_images[sample], data.train_labels[sample]), "floor", cfg)
    columns["floor"] = {key: value for key, value in floor.items() if "memorization" not in key}

    facts = {
        "checkpoints": [str(path) for path in paths],
        "num_samples": cfg.num_samples,
        "repeats": cfg.repeats,
        "split": cfg.split,
        "labels": cfg.labels,
        "data": data.source.name,
        "seed": cfg.seed,
    }
    write_json(folder / "metrics.json", {**facts, "measures": columns})
    table = markdown(columns)
    write_atomic(folder / "metrics.md", table)
    log.info("%s\npictures and numbers: %s", table, folder)
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


def _measures(
    cfg: DictConfig, data: LightningDataModule, generators: list[DigitGenerator], num_real: int
) -> ImageMeasures:
    """Those asked for; without a word from the user, all that the data has enough images for."""
    source = data.source
    extractor = build_extractor(cfg.metrics.extractor, cfg.metrics.inception_weights)
    if extractor.reads_digits and not source.shows_digits:
        raise UserError(f"metrics.extractor=mnist: {source.name} shows no digits; use metrics.extractor=inception")
    for generator in generators:
        if generator.image_channels != source.channels:
            channels = f"{source.channels} channels, those of the model {generator.image_channels}"
            raise UserError(f"data={source.name}: its images have {channels}")
        if generator.data not in (None, source.name):
            log.warning("data=%s: the model was trained on %s", source.name, generator.data)
    device = generators[0].device
    extractor = extractor if device.type == "mps" else extractor.to(device)
    measures = ImageMeasures(extractor, cfg.metrics.measures, seed=cfg.seed)
    if cfg.metrics.measures is None:
        left_out = [name for name in measures.measures if measures.least_images(name)[0] > num_real]
        if left_out:
            log.warning("left out, as %s has %d images: %s", source.name, num_real, ", ".join(left_out))
        if not extractor.reads_digits:
            left_out.append("memorization")  # features of all training images would take an hour
        kept = [name for name in measures.measures if name not in left_out]
        measures = ImageMeasures(extractor, kept, seed=cfg.seed)
    for name in measures.measures:
        if reason := measures.too_few(name, num_real, cfg.num_samples):
            raise UserError(f"num_samples={cfg.num_samples}, metrics.measures: {reason}")
    if source.channels > 1 and "modes" in measures.measures and cfg.num_samples != STACKED_PROTOCOL:
        log.warning("num_samples=%d: published numbers of modes are of %d samples", cfg.num_samples, STACKED_PROTOCOL)
    return measures


def _drawn(
    generator: DigitGenerator, cfg: DictConfig, seed: int, labels: Tensor
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Images of the labels given, again from the first when there are fewer, or of 0 to 9 in turn."""
    digits = labels.tolist() if generator.num_classes and cfg.labels == "real" else None
    start = 0
    for images in generator.stream(cfg.num_samples, digits, seed=seed):
        yield images, generator.labels(digits, start, start + len(images))
        start += len(images)


def _sample(labels: Tensor, cfg: DictConfig) -> Tensor:
    """Indices of the floor's images: any, in the data's proportions, or as many of each label."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(derive_seed(cfg.seed)))
    if cfg.labels == "real":
        return order[: cfg.num_samples]
    classes = labels.unique()
    each = [order[labels[order] == label][: -(-cfg.num_samples // len(classes))] for label in classes]
    return torch.cat(each)[: cfg.num_samples]


def _chunks(images: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
    return list(zip(images.split(CHUNK), labels.split(CHUNK), strict=True))


def _measure(measures: ImageMeasures, batches: Batches, name: str, cfg: DictConfig) -> Values:
    """The measures of one set of images; says how long they took, the drawing left out."""
    measures.reset_generated()
    seconds, labelled = 0.0, False
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
            raise UserError(f"num_samples={cfg.num_samples}, metrics.measures: {reason}")
    return {metric_name(cfg.split, key, measures.extractor.name): value for key, value in values.items()}


def _joined(draws: list[Values]) -> Values:
    """Means over the draws and, of several, their standard deviation as `<name>_spread`."""
    means = {key: statistics.fmean(draw[key] for draw in draws) for key in draws[0]}
    if len(draws) == 1:
        return means
    return means | {f"{key}_spread": statistics.stdev(draw[key] for draw in draws) for key in means}


def _training_minutes(path: Path) -> Values:
    """How long the run of a checkpoint took, where its folder still says so."""
    summary = path.parent.parent / "summary.json"
    if path.parent.name != "checkpoints" or not summary.is_file():
        return {}
    return {"train/minutes": json.loads(summary.read_text())["minutes"]}


def _short_names(paths: list[Path]) -> list[str]:
    """What tells the files apart: the run's folder and the file's name."""
    in_runs = [path.parent.name == "checkpoints" for path in paths]
    names = [
        f"{path.parent.parent.name}/{path.stem}" if run else path.stem for path, run in zip(paths, in_runs, strict=True)
    ]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _progress(items: Any, what: str) -> Any:
    return tqdm(items, desc=what, leave=False, disable=None)
