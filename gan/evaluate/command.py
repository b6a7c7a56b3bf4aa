"""Measures the images of checkpoints, of other people's generators, or both, beside those of the training set.

    gan evaluate ckpt=last
    gan evaluate 'ckpt=[a.ckpt,b.ckpt]' images=theirs.npz

The floor is computed in the same run: as many training images as samples in place of generated ones.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from gan.checkpoint_files import checkpoint_path
from gan.config import instantiate, settle_output_dir
from gan.config.early_checks import check_bounds
from gan.config.overrides import as_typed, key_of
from gan.config.targets import source_target
from gan.data import MNISTDataModule, Source
from gan.errors import UserError
from gan.evaluate.comparison import compare
from gan.evaluate.given_images import images_of_file
from gan.evaluate.sets import LABELS, GeneratedSet, ImageSet, Labels
from gan.evaluate.table import Values, short_names
from gan.inference import DigitGenerator
from gan.inference.network_loading import weights_checksum
from gan.optional_files import read_json
from gan.runs.folder import held
from gan.runs.records import run_data, run_folder

log = logging.getLogger("gan")


def evaluate(cfg: DictConfig) -> dict[str, Values]:
    """Writes `metrics.json`, `metrics.md` and pictures into the run's folder.

    Args:
        cfg: of `conf/evaluate.yaml`.

    Returns:
        By column of the table (the checkpoints, the given images, and `floor`), the measures by name, such as
        `test/fid_mnist`.

    Raises:
        UserError: a checkpoint, images or a value that cannot be used, or too few images for a measure.
    """
    folder = settle_output_dir(cfg, "evaluate")
    check_bounds("evaluate", cfg)
    given = [str(path) for path in _listed(cfg.images, "images")]
    _refuse_repeated("images", given)
    for key in ("resize", "invert"):
        if cfg[key] and not given:
            raise UserError(f"{key}={cfg[key]}: only for given images; there is no images=")
    labels, label_files = parse_labels(cfg.labels, len(given))
    for name in given:
        if not (Path(name).is_file() or Path(name).is_dir()):
            raise UserError(f"images={name}: there is no file or folder there")
    for file in label_files:
        if file is not None and not Path(file).is_file():
            raise UserError(f"labels={file}: there is no file there")
    generators = _open(cfg, bool(given))
    if labels == "even" and not given and all(generator.num_classes is None for generator in generators):
        raise UserError("labels=even: needs a conditional model")
    paths = [generator.path for generator in generators if generator.path is not None]
    if generators:
        _take_data_of_run(cfg, paths[0])
    data: MNISTDataModule = instantiate(cfg.data)
    data.prepare_data()
    data.setup()
    _check_models(data.source, generators)
    names = short_names([*paths, *(Path(path).absolute() for path in given)])
    real_labels = data.test_labels if cfg.split == "test" else data.val_labels
    wanted = real_labels if labels == "real" and data.source.num_classes else None
    models = zip(names, generators, strict=False)
    sets: list[ImageSet] = [GeneratedSet(name, one, wanted, cfg.seed) for name, one in models]
    for name, path, file in zip(names[len(generators) :], given, label_files, strict=True):
        sets.append(images_of_file(name, path, file, data.source, cfg))
    with held(folder):
        evaluation = compare(sets, data, labels, cfg, folder)
        for one, checkpoint in zip(sets, paths, strict=False):
            run = run_folder(checkpoint)
            if run is not None and (minutes := read_json(run / "summary.json").get("minutes")) is not None:
                evaluation.columns[one.name]["train/minutes"] = minutes
        versions = {path: weights_checksum(one.network) for path, one in zip(paths, generators, strict=True)}
        evaluation.save(folder, versions, given)
    log.info("%s\npictures and numbers: %s", evaluation.markdown(), folder)
    return evaluation.columns


def parse_labels(value: Any, num_given: int) -> tuple[Labels, list[str | None]]:
    """The word in `labels`, "real" where there is none, and for each of the given images the file of its labels."""
    entries = _listed(value, "labels")
    words = [entry for entry in entries if entry in LABELS]
    files = [None if entry is None else str(entry) for entry in entries if entry not in words]
    if files and not num_given:
        raise UserError(f"labels={value}: real or even; a file of labels needs images=")
    if len(words) > 1 or (files and len(files) != num_given):
        raise UserError(f"labels={value}: real or even, and a file, or null, for each of the {num_given} images=")
    return (words or ["real"])[0], files or [None] * num_given


def _listed(value: Any, key: str) -> list[Any]:
    """The entries of a list, or a single value; none of null."""
    entries = list(value) if OmegaConf.is_list(value) else [] if value is None else [value]
    if OmegaConf.is_list(value) and not entries:
        raise UserError(f"{key}=[]: name at least one")
    return entries


def _refuse_repeated(key: str, entries: Sequence[str]) -> None:
    files = [Path(entry).resolve() for entry in entries]
    if repeated := [entry for entry, file in zip(entries, files, strict=True) if files.count(file) > 1]:
        raise UserError(f"{key}: {repeated[-1]} is named more than once")


def _take_data_of_run(cfg: DictConfig, path: Path) -> None:
    """Replaces the data settings that the command line does not give by those of the checkpoint's run."""
    run = run_folder(path)
    if run is None or not HydraConfig.initialized():
        return
    given = [key_of(text) for text in as_typed(HydraConfig.get().overrides.task)]
    if "data" in given:
        return
    data = run_data(run, cfg.trust)
    changed = [key for key in given if key.startswith("data.")]
    for key in changed:
        OmegaConf.update(data, key.removeprefix("data."), OmegaConf.select(cfg, key))
    cfg.data = data
    name, folder = source_target(data).rpartition(".")[2], data.get("dir")
    as_there = f"as in the run, but for {', '.join(changed)}" if changed else "as in the run"
    log.info("data        %s%s, %s", name, f" in {folder}" if folder else "", as_there)


def _open(cfg: DictConfig, has_images: bool) -> list[DigitGenerator]:
    """The generators of the checkpoints: those named, or the newest run's if no images are given."""
    named = _listed(cfg.ckpt, "ckpt") or ([] if has_images else ["last"])
    paths = [checkpoint_path(None if ckpt is None else str(ckpt), "ckpt") for ckpt in named]
    _refuse_repeated("ckpt", [str(path) for path in paths])
    return [DigitGenerator.open(path, "ckpt", cfg.device, cfg.trust) for path in paths]


def _check_models(source: Source, generators: Sequence[DigitGenerator]) -> None:
    for generator in generators:
        named = f"(ckpt={generator.path})"
        if generator.image_channels != source.channels:
            channels = f"{source.channels} channels, those of the model {generator.image_channels} {named}"
            raise UserError(f"data={source.name}: its images have {channels}")
        if generator.num_classes and source.num_classes and generator.num_classes != source.num_classes:
            classes = f"{source.num_classes} classes, the model {generator.num_classes} {named}"
            raise UserError(f"data={source.name}: it has {classes}")
        if generator.data not in (None, source.name):
            log.warning("data=%s: the model was trained on %s %s", source.name, generator.data, named)
