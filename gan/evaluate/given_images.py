"""Images that others have generated: from files, or as arrays in Python."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from gan.atomic_write import hindrance_to_writing
from gan.config import compose, instantiate
from gan.config.allowed import OneOf
from gan.config.early_checks import check_bounds, expanded
from gan.data import MNISTDataModule, Source
from gan.errors import UserError
from gan.evaluate.comparison import Evaluation, compare, progress
from gan.evaluate.image_files import read_images, read_labels
from gan.evaluate.image_formats import Images, as_images, as_labels
from gan.evaluate.sets import LABELS, GivenSet, Labels
from gan.inference.arguments import plain
from gan.metrics import Extractor, Measure
from gan.published_data import CLASSIFIERS

DARK, LIGHT = 5, 127  # the mean pixel of MNIST is 33

log = logging.getLogger("gan")


def images_of_file(name: str, path: str, labels: str | None, source: Source, cfg: DictConfig) -> GivenSet:
    """The images of a file or folder, and their labels from their own file or from another one."""
    found, what = read_images(Path(path)), f"images={path}"
    classes, what_labels = found.labels, what
    if labels is not None:
        if found.unclear is not None:
            raise UserError(f"labels={labels}: {what} has an unclear order: {found.unclear}; write 02 in place of 2")
        classes, what_labels = read_labels(Path(labels)), f"labels={labels}"
    pieces = progress(found.arrays, f"reading {name}")
    given = _given_set(name, pieces, classes, source, cfg, what, what_labels, found.of_8_bits)
    count, have = f"{len(given.images):,}", "with" if given.labeled else "without"
    log.info("images      %s, %s of them, %s labels", path, count, have)
    return given


def measure(
    images: Images | Mapping[str, Images],
    labels: Any | Mapping[str, Any] | None = None,
    *,
    data: MNISTDataModule | None = None,
    measures: Sequence[str | Mapping[str, Any] | Measure] | None = None,
    extractor: str | Mapping[str, Any] | Extractor | None = None,
    floor_labels: Labels = "real",
    resize: str | None = None,
    invert: bool = False,
    num_samples: int = 10_000,
    repeats: int = 1,
    split: str = "test",
    confidence: float | None = 0.95,
    seed: int = 0,
    device: str = "auto",
    folder: str | Path | None = None,
) -> Evaluation:
    """Measures images as `gan evaluate images=...` does, beside the floor that real images reach.

    `resize`, `invert`, `num_samples`, `repeats`, `split`, `confidence`, `seed` and `device` are keys of
    `conf/evaluate.yaml`, which explains them.

        from gan.evaluate import measure

        print(measure(images, labels).markdown())
        measure({"mine": mine, "theirs": theirs}, folder="compared").columns["mine"]["test/fid_mnist"]

    Args:
        images: a tensor or an array, or several by name: [N, 28, 28], [N, C, 28, 28], [N, 28, 28, C] or [N, 784];
            integers 0..255, or floats 0..1, -1..1 or 0..255.
        labels: [N] or None, or several by name; measures of labels are left out where there are none.
        data: the real images, such as `MNISTDataModule(Digits(), val_size=300)` of `gan.data`; None is MNIST in the
            folder `data`, downloaded if it is not there.
        measures: as `metrics.measures`; `"..."` among the names stands for all others but cas.
        extractor: as `metrics.extractor`; None is the classifier of the data.
        floor_labels: "real": the floor has the class proportions of the data; "even": each class equally often.
        folder: for the table and the pictures; None writes nothing.

    Raises:
        UserError: images, labels or a setting that cannot be used.
    """
    several, of_each = _by_name(images, labels)
    cfg = OmegaConf.create(compose("evaluate"), flags={"allow_objects": True})
    numbers = {"num_samples": num_samples, "repeats": repeats, "confidence": confidence, "seed": seed}
    cfg.update({key: plain(value) for key, value in numbers.items()})
    cfg.update({"split": split, "device": device, "resize": resize, "invert": invert, "labels": floor_labels})
    data = instantiate(cfg.data) if data is None else data
    if not isinstance(data, MNISTDataModule):
        raise UserError(f"data={data}: a gan.data.MNISTDataModule, or None; of KMNIST, MNISTDataModule(KMNIST())")
    if extractor is None:
        extractor = data.source.name if data.source.name in CLASSIFIERS else "mnist"
    listed = measures if isinstance(measures, str | None) else list(measures)
    cfg.metrics.update({"extractor": extractor, "measures": listed})
    check_bounds("evaluate", cfg)
    OneOf(LABELS).require("floor_labels", floor_labels)
    path = None if folder is None else expanded("folder", str(folder))
    if path is not None and (reason := hindrance_to_writing(path)):
        raise UserError(f"folder={folder}: it cannot be written there ({reason})")
    with torch.device("cpu"):  # whatever the caller's default device is
        data.prepare_data()
        data.setup()
        sets = [
            _given_set(name, [given], of_each.get(name), data.source, cfg, f"images ({name})", f"labels ({name})")
            for name, given in several.items()
        ]
        evaluation = compare(sets, data, floor_labels, cfg, path)
    if path is not None:
        evaluation.save(path, {}, list(several))
    return evaluation


def _by_name(
    images: Images | Mapping[str, Images], labels: Any | Mapping[str, Any] | None
) -> tuple[dict[str, Images], dict[str, Any]]:
    """The sets of images by name, and their labels, where there are any."""
    if labels is not None and isinstance(labels, Mapping) != isinstance(images, Mapping):
        with_names, without = ("images", "labels") if isinstance(images, Mapping) else ("labels", "images")
        raise UserError(f"labels: {with_names} are several by name, and the {without} have no names")
    if not isinstance(images, Mapping):
        images, labels = {"images": images}, {"images": labels}
    several = {str(name): one for name, one in images.items()}
    of_each = {} if labels is None else {str(name): one for name, one in labels.items()}
    if not several or "floor" in several:
        raise UserError(f"images: {list(several)}; at least one name, and floor is the name of the real images' column")
    if len(several) < len(images):
        raise UserError(f"images: {list(images)}; two of these names are the same text")
    if unknown := [*of_each.keys() - several.keys()]:
        raise UserError(f"labels: {unknown[0]} is none of the images {list(several)}")
    return several, of_each


def _given_set(
    name: str,
    pieces: Iterable[Images],
    labels: Any | None,
    source: Source,
    cfg: DictConfig,
    what: str,
    what_labels: str,
    of_8_bits: bool = False,
) -> GivenSet:
    """The images in pieces as one set; `what` and `what_labels` name them in error texts."""
    images = torch.cat([as_images(one, source.channels, cfg.resize, cfg.invert, what, of_8_bits) for one in pieces])
    classes = None if labels is None else as_labels(labels, len(images), source.num_classes, what_labels)
    brightness = images.float().mean().item()
    if source.shows_digits and brightness > LIGHT:
        log.warning("%s: mostly light, and MNIST's background is dark; invert=true inverts the images", what)
    if source.shows_digits and brightness < DARK:
        log.warning("%s: nearly black, with a mean pixel of %.2g; that of MNIST is 33", what, brightness)
    return GivenSet(name, images, classes, cfg.seed)
