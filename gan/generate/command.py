"""Writes pictures or data sets from a trained generator.

gan generate 'digits=[3,1,4]'
gan generate num_images=60000 format=npz output=generated.npz
gan generate mode=direction direction=slant digits=[7]
gan generate digits=[7] directions.slant=1.5 directions.thickness=1
"""

import logging
import os
import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from filelock import FileLock, Timeout
from omegaconf import DictConfig, ListConfig

from gan.atomic_write import atomic_file, flush_to_disk, hindrance_to_writing
from gan.config import settle_output_dir
from gan.config.bounds import MAX_SHOWN
from gan.config.early_checks import check_bounds
from gan.errors import UserError
from gan.generate.array_files import ARRAY_ENDINGS, ArrayFiles, require_absent
from gan.generate.modes import PATH_MODES, ImageSequence, LatentPath, Samples, Strips
from gan.idx_files import require_mnist_format
from gan.images import animation, enlarge, grid, pictures, png, save_gif, save_picture
from gan.inference import DigitGenerator
from gan.inference.directions import check_directions

log = logging.getLogger("gan")
PICTURE_ENDINGS = {"grid": ".png", "gif": ".gif", "png": ""}  # "": a folder
ENDINGS = PICTURE_ENDINGS | ARRAY_ENDINGS
UNFINISHED = ".gan-generate-"  # how the name of the folder starts that a killed command leaves
LOCK = ".lock"  # in such a folder, held while its command runs
KEPT = ("mode", "truncation", "select", "split", "direction", "steps", "span")  # the same for all shards of a folder
MAX_PIXELS = 2**30
SAMPLED = ("sample", "class_sweep", "direction")
OF_MODES = {  # by key: its value in modes that have no use for it, and the modes that have one
    "first": (0, SAMPLED),
    "shard_size": (None, SAMPLED),
    "select": (None, ("sample", "class_sweep")),
    "steps": (None, (*PATH_MODES, "direction")),
    "direction": (None, ("direction",)),
    "span": (3, ("direction",)),
}
MAX_SEEDS = 1_000_000
MAX_IDX = 2**32 - 1


def generate(cfg: DictConfig) -> Path:
    """Generates images and writes them, each file atomically. `conf/generate.yaml` explains the keys of the config.

    Returns:
        The absolute path of the file or folder.

    Raises:
        UserError: a value, a model or a path that cannot be used, before the first image is generated; or a digit that
            is too rare for `select`.
    """
    run_dir = settle_output_dir(cfg, "generate")
    check_bounds("generate", cfg)
    for key, (unset, modes) in OF_MODES.items():
        if cfg.mode not in modes and cfg[key] != unset:
            more = f", and directions.{cfg.direction}=1 moves all images" if key == "direction" else ""
            raise UserError(f"{key}={cfg[key]}: mode={cfg.mode} has no use for it; mode={modes[0]} has{more}")
    image_format, path = _output(cfg, run_dir)
    seeds, digits, directions = parse_seeds(cfg.seeds), _parse_digits(cfg.digits), check_directions(cfg.directions)
    generator = DigitGenerator.open(cfg.ckpt, "ckpt", cfg.device, cfg.trust).moved(directions)
    if image_format == "idx":
        require_mnist_format(generator.image_channels, generator.num_classes)
    if isinstance(digits, str):  # "all"
        digits = list(range(generator.num_classes or 10**generator.image_channels))
    if cfg.mode in PATH_MODES:
        walk = cfg.mode == "walk"
        sequence: ImageSequence = LatentPath(generator, digits, seeds, cfg.truncation, cfg.steps, walk, cfg.num_images)
    elif cfg.mode == "direction":
        middles = Samples(generator, digits, seeds, cfg.truncation)
        sequence = Strips(middles, cfg.direction, cfg.steps, cfg.span)
    else:
        sequence = Samples(generator, digits, seeds, cfg.truncation, cfg.select, cfg.mode == "class_sweep")
    count = cfg.num_images or sequence.default_count
    _check_count(count, image_format, cfg.shard_size, cfg.scale)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if image_format in PICTURE_ENDINGS:
            write_pictures(image_format, path, sequence, cfg.first, cfg.first + count, cfg.scale, cfg.overwrite)
        else:
            settings = {"model": generator.info()["version"], "device": generator.device.type, "digits": digits}
            settings |= {"seeds": seeds, "directions": directions} | {key: cfg[key] for key in KEPT}
            files = ArrayFiles(sequence, generator.image_channels, image_format, path, cfg.split)
            files.write(cfg.first, cfg.first + count, cfg.shard_size, settings, cfg.overwrite)
    except OSError as error:
        raise UserError(f"output={path}: it cannot be written there ({error.strerror or error})") from error
    log.info("%s", path)
    return path


def parse_seeds(value: Any) -> list[int]:
    """Seeds of a number, a range such as "0-15" (both ends included) or a list of these; a UserError for the rest."""
    parts = value if isinstance(value, ListConfig | list) else [value]
    matches = [re.fullmatch(r"(\d{1,18})(?:-(\d{1,18}))?", str(part), re.ASCII) for part in parts]
    spans = [range(int(match[1]), int(match[2] or match[1]) + 1) if match else range(0) for match in matches]
    if not spans or not all(spans) or sum(map(len, spans)) > MAX_SEEDS:
        raise UserError(f"seeds={value}: a number, a range such as 0-15, or a list of them; at most {MAX_SEEDS:,}")
    return [seed for span in spans for seed in span]


def _parse_digits(value: Any) -> list[int] | str | None:
    if value is None or value == "all":
        return value
    digits = list(value) if isinstance(value, ListConfig) else [value]
    if not digits or not all(isinstance(digit, int) and not isinstance(digit, bool) for digit in digits):
        raise UserError(f"digits={value}: a list such as [3,1,4], all, or null")
    return digits


def _check_count(count: int, image_format: str, shard_size: int | None, scale: int | None) -> None:
    if image_format in ("grid", "gif") and count > MAX_SHOWN:
        raise UserError(f"num_images={count}: format={image_format} shows up to {MAX_SHOWN:,}; format=npz has no limit")
    if image_format in ("grid", "gif") and count * (28 * (scale or 1)) ** 2 > MAX_PIXELS:
        raise UserError(f"scale={scale}: {count:,} images would have more than {MAX_PIXELS:,} pixels together")
    if image_format == "idx" and min(count, shard_size or count) > MAX_IDX:
        raise UserError(f"num_images={count}: an IDX file holds up to {MAX_IDX:,}; shard_size=1000000 makes several")


def _output(cfg: DictConfig, run_dir: Path) -> tuple[str, Path]:
    """The format and the absolute path of the output. An existing output is an error unless it may be replaced."""
    by_ending = {ending: name for name, ending in ENDINGS.items() if ending}
    suffix = Path(str(cfg.output)).suffix.lower() if cfg.output is not None else ""
    image_format = cfg.format or by_ending.get(suffix) or ("gif" if cfg.mode == "walk" else "grid")
    if cfg.scale is not None and image_format not in PICTURE_ENDINGS:
        raise UserError(f"scale={cfg.scale}: only pictures are enlarged ({', '.join(PICTURE_ENDINGS)})")
    if cfg.shard_size is not None and image_format not in ("npz", "idx"):
        raise UserError(f"shard_size={cfg.shard_size}: only format=npz and format=idx have shards")
    if cfg.split != "train" and image_format != "idx":
        raise UserError(f"split={cfg.split}: only format=idx has a pair of files for each split")
    ending = "" if cfg.shard_size is not None else ENDINGS[image_format]
    if cfg.output is not None and ending and suffix != ending:
        raise UserError(f"output={cfg.output}: with format={image_format} its name ends in {ending}")
    path = run_dir / f"images{ending}" if cfg.output is None else Path(str(cfg.output)).absolute()
    if os.path.lexists(path) and not (path.is_file() if ending else path.is_dir()):  # such as a pipe
        raise UserError(f"output={path}: it is there, and not a {'file' if ending else 'folder'}")
    # A folder of arrays may be resumed or added to, so `ArrayFiles` looks at its files.
    files = path.iterdir() if image_format == "png" and path.exists() else ()
    taken = path.exists() if ending else any(not file.name.startswith(UNFINISHED) for file in files)
    if taken and not cfg.overwrite:
        raise UserError(f"output={path}: it is there already; overwrite=true replaces it")
    if reason := hindrance_to_writing(path.parent if ending else path):
        raise UserError(f"output={path}: it cannot be written there ({reason})")
    return image_format, path


def write_pictures(
    image_format: str, path: Path, sequence: ImageSequence, start: int, stop: int, scale: int | None, overwrite: bool
) -> None:
    """Writes images start..stop-1, each file atomically. Without a scale a grid is large enough to look at."""
    if image_format == "png":
        return _write_png_files(path, sequence, start, stop, scale or 1, overwrite)
    images = torch.cat(list(sequence.images(start, stop)))
    if not overwrite:
        require_absent([path])
    with atomic_file(path) as file:
        if image_format == "grid":
            file.write(png(enlarge(grid(images, sequence.columns), scale)))
        else:
            save_gif(animation(images, scale), file)


def _write_png_files(folder: Path, sequence: ImageSequence, start: int, stop: int, scale: int, overwrite: bool) -> None:
    """Names each file by index and label, in place of earlier files of this kind and of what a killed command left."""
    folder.mkdir(exist_ok=True)
    for unfinished in folder.glob(f"{UNFINISHED}*"):
        try:
            with FileLock(unfinished / LOCK, blocking=False):
                shutil.rmtree(unfinished)
        except Timeout:
            raise UserError(f"output={folder}: another command is writing there; name another folder") from None
    old = {path for path in folder.iterdir() if re.fullmatch(r"\d{6,}(_digit_\d+)?\.png", path.name)}
    if not overwrite:
        require_absent(old)
    index = start
    with TemporaryDirectory(prefix=UNFINISHED, dir=folder) as hidden, FileLock(Path(hidden, LOCK), blocking=False):
        for images in sequence.images(start, stop):
            labels = sequence.labels(index, index + len(images)).tolist()
            for number, (picture, label) in enumerate(zip(pictures(images), labels, strict=True), start=index):
                digit = f"_digit_{label}" if label >= 0 else ""
                save_picture(enlarge(picture, scale), Path(hidden, f"{number:06d}{digit}.png"))
            index += len(images)
        for path in old:
            path.unlink()
        for path in Path(hidden).glob("*.png"):
            path.rename(folder / path.name)
    flush_to_disk(folder)
