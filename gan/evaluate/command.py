"""Measures the images of a checkpoint: `gan evaluate ckpt=last`, or of several: `'ckpt=[a.ckpt,b.ckpt]'`.

The floor is computed in the same run: as many training images as samples in place of generated ones. A conditional
model generates the digits that the real images show (`labels=real`), so that no part of a distance is due to how often
each digit comes. `labels=even` takes 0 to 9 in turn, as `gan generate` does, for the model and for the floor.
"""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import torch
from hydra.core.hydra_config import HydraConfig
from lightning import LightningDataModule
from omegaconf import DictConfig, ListConfig, OmegaConf
from torch import Tensor

from gan.atomic_write import write_atomic, write_json
from gan.config import instantiate, settle_output_dir
from gan.config.checks import check_bounds
from gan.errors import UserError
from gan.evaluate.measuring import choose_measures, chunks, measure_real, measure_set
from gan.evaluate.pictures import save_pictures
from gan.evaluate.table import Values, markdown, means_and_spreads, short_names
from gan.inference import DigitGenerator
from gan.inference.training_run import run_data, run_folder
from gan.randomness import derive_seed

log = logging.getLogger("gan")


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
    generators = _open(cfg)
    paths = [generator.path for generator in generators]
    _take_data_of_run(cfg, paths[0])
    data: LightningDataModule = instantiate(cfg.data)
    data.prepare_data()
    data.setup()
    real = (data.test_images, data.test_labels) if cfg.split == "test" else (data.val_images, data.val_labels)
    measures = choose_measures(cfg, data.source, generators, num_real=len(real[0]))
    measure_real(measures, data, *real)

    folder.mkdir(parents=True, exist_ok=True)
    columns: dict[str, Values] = {}
    names = short_names(paths)
    for name, generator in zip(names, generators, strict=True):
        repeats = [
            measure_set(measures, _generated(generator, cfg, cfg.seed + index, real[1]), name, cfg)
            for index in range(cfg.repeats)
        ]
        columns[name] = means_and_spreads(repeats) | _training_minutes(generator.path)
        pictures = folder if len(paths) == 1 else folder / name.replace("/", "_")
        save_pictures(pictures, generator, real[0], data.train_images, measures, cfg.seed)
    sample = _floor_sample(data.train_labels, cfg)
    floor = chunks(data.train_images[sample], data.train_labels[sample])
    columns["floor"] = measure_set(measures, floor, "floor", cfg, against_training=False)

    facts = {
        "checkpoints": [str(path) for path in paths],
        "num_samples": cfg.num_samples,
        "repeats": cfg.repeats,
        "split": cfg.split,
        "labels": cfg.labels,
        "data": data.source.name,
        "seed": cfg.seed,
    }
    better = {measures.metric_name(cfg.split, key): direction for key, direction in measures.directions().items()}
    write_json(folder / "metrics.json", {**facts, "better": better, "measures": columns})
    table = markdown(columns, better)
    write_atomic(folder / "metrics.md", table)
    log.info("%s\npictures and numbers: %s", table, folder)
    return columns


def _take_data_of_run(cfg: DictConfig, path: Path) -> None:
    """Replaces the data settings that the command line does not give by those of the checkpoint's run."""
    run = run_folder(path)
    if run is None or not HydraConfig.initialized():
        return
    given = [text.lstrip("+~").partition("=")[0] for text in HydraConfig.get().overrides.task]
    if "data" in given:
        return
    data = run_data(run, cfg.trust)
    for key in given:
        if key.startswith("data."):
            OmegaConf.update(data, key.removeprefix("data."), OmegaConf.select(cfg, key))
    cfg.data = data
    log.info("data        %s in %s, as in the run", data.get("source", data)["_target_"].rpartition(".")[2], data.dir)


def _open(cfg: DictConfig) -> list[DigitGenerator]:
    """The generators of the checkpoints, once the other values are known to be possible."""
    named = list(cfg.ckpt) if isinstance(cfg.ckpt, ListConfig) else [cfg.ckpt]
    if not named:
        raise UserError("ckpt=[]: name at least one checkpoint")
    if repeated := [name for name in named if named.count(name) > 1]:
        raise UserError(f"ckpt={named}: {repeated[0]} is named more than once")
    check_bounds("evaluate", cfg)
    generators = [DigitGenerator.open(ckpt, "ckpt", cfg.device, cfg.trust) for ckpt in named]
    if cfg.labels == "even" and all(generator.num_classes is None for generator in generators):
        raise UserError("labels=even: needs a conditional model")
    return generators


def _generated(
    generator: DigitGenerator, cfg: DictConfig, seed: int, labels: Tensor
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Images of the labels given, again from the first when there are fewer, or of 0 to 9 in turn."""
    digits = labels.tolist() if generator.num_classes and cfg.labels == "real" else None
    start = 0
    for images in generator.stream(cfg.num_samples, digits, seed=seed):
        yield images, generator.labels(digits, start, start + len(images))
        start += len(images)


def _floor_sample(labels: Tensor, cfg: DictConfig) -> Tensor:
    """Indices of the floor's images: in the data's class proportions, or equally many of each class."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(derive_seed(cfg.seed)))
    if cfg.labels == "real":
        return order[: cfg.num_samples]
    classes = labels.unique()
    each = [order[labels[order] == label][: -(-cfg.num_samples // len(classes))] for label in classes]
    return torch.cat(each)[: cfg.num_samples]


def _training_minutes(path: Path) -> Values:
    """How long the run of a checkpoint took, where its folder still has the summary."""
    run = run_folder(path)
    if run is None or not (run / "summary.json").is_file():
        return {}
    return {"train/minutes": json.loads((run / "summary.json").read_text(encoding="utf-8"))["minutes"]}
