"""Draws pictures or data sets from a trained generator.

gan generate 'digits=[3,1,4]'
gan generate num_images=60000 format=npz output=drawn.npz
"""

import logging
import re
import time
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, ListConfig
from PIL import Image

from gan.atomic_write import atomic_file
from gan.config import settle_output_dir
from gan.config.bounds import require_number, require_switch
from gan.errors import UserError
from gan.generate.sampling import Drawing, Samples, Way
from gan.generate.shards import SPLITS, ArrayFiles
from gan.images import grid, pictures, png, save_gif
from gan.inference import DigitGenerator

log = logging.getLogger("gan")
MODES = ("sample", "class_sweep", "interpolate", "walk")
ENDINGS = {"grid": ".png", "npy": ".npy", "npz": ".npz", "gif": ".gif", "png": "", "idx": ""}
MAX_SHOWN = 10_000
MAX_SEEDS = 1_000_000
MAX_INDEX = 10**15
MAX_IDX = 2**32 - 1
GIF_SCALE = 8


def generate(cfg: DictConfig) -> Path:
    """Draws images and writes them, each file whole or not at all.

    Args:
        cfg: of `conf/generate.yaml`, which says what each key means.

    Returns:
        The absolute path of the file or folder.

    Raises:
        UserError: a value, a model or a path that cannot be used, before any image is drawn; or a digit that `select`
            does not find.
    """
    run_dir = settle_output_dir(cfg, "generate")
    _check_values(cfg)
    image_format, path = _output(cfg, run_dir)
    seeds, digits = parse_seeds(cfg.seeds), _parse_digits(cfg.digits)
    generator = DigitGenerator.open(cfg.ckpt, "ckpt", cfg.device, cfg.trust)
    if image_format == "idx" and generator.image_channels != 1:
        raise UserError(f"format=idx: MNIST's files are of one channel, this model draws {generator.image_channels}")
    if digits == "all":
        digits = list(range(generator.num_classes or 10**generator.image_channels))
    if cfg.mode in ("interpolate", "walk"):
        closed = cfg.mode == "walk"
        drawing: Drawing = Way(generator, digits, seeds, cfg.truncation, cfg.steps, closed, cfg.num_images)
    else:
        drawing = Samples(generator, digits, seeds, cfg.truncation, cfg.select, sweep=cfg.mode == "class_sweep")
    count = cfg.num_images or drawing.count
    if image_format in ("grid", "gif") and count > MAX_SHOWN:
        raise UserError(
            f"num_images={count}: format={image_format} shows up to {MAX_SHOWN:,}; format=npz takes any number"
        )
    if image_format == "idx" and min(count, cfg.shard_size or count) > MAX_IDX:
        raise UserError(f"num_images={count}: an IDX file holds up to {MAX_IDX:,}; shard_size=1000000 makes several")

    started = time.perf_counter()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if image_format in ("npy", "npz", "idx"):
            settings = {"model": generator.info()["version"], "device": generator.device.type, "digits": digits}
            settings |= {"seeds": seeds} | {key: cfg[key] for key in ("mode", "truncation", "select", "split")}
            files = ArrayFiles(image_format, path, generator.image_channels, drawing.labelled, cfg.split)
            drawn = files.write(drawing, cfg.first, cfg.first + count, cfg.shard_size, settings, cfg.overwrite)
            seconds = time.perf_counter() - started
            speed = f"{drawn:,} images in {seconds:.1f} s, {drawn / seconds:,.0f} images/s"
            log.info(speed if drawn else f"all {count:,} images are there already")
        elif image_format == "png":
            _write_pictures(drawing, path, cfg.first, cfg.first + count)
        else:
            _write_sheet(drawing, image_format, path, cfg.first, cfg.first + count)
    except OSError as error:
        raise UserError(f"output={path}: it cannot be written there ({error.strerror or error})") from error
    log.info("%s", path)
    return path


def parse_seeds(value: Any) -> list[int]:
    """Seeds of a number, a range such as "0-15" (both ends included), or a list of such.

    Raises:
        UserError: it is something else.
    """
    seeds: list[int] = []
    for part in value if isinstance(value, ListConfig | list) else [value]:
        match = re.fullmatch(r"(\d{1,18})(?:-(\d{1,18}))?", str(part), re.ASCII)
        span = range(int(match[1]), int(match[2] or match[1]) + 1) if match else range(0)
        if not 0 < len(span) <= MAX_SEEDS - len(seeds):
            seeds = []
            break
        seeds += span
    if not seeds:
        raise UserError(f"seeds={value}: a number, a range such as 0-15, or a list of them; at most {MAX_SEEDS:,}")
    return seeds


def _parse_digits(value: Any) -> list[int] | str | None:
    if value is None or value == "all":
        return value
    digits = list(value) if isinstance(value, ListConfig) else [value]
    if not digits or not all(isinstance(digit, int) and not isinstance(digit, bool) for digit in digits):
        raise UserError(f"digits={value}: a list such as [3,1,4], all, or null")
    return digits


def _check_values(cfg: DictConfig) -> None:
    if cfg.mode not in MODES:
        raise UserError(f"mode={cfg.mode}: {', '.join(MODES)}")
    for key, least in (("num_images", 1), ("shard_size", 1), ("first", 0), ("steps", 2)):
        optional = key in ("num_images", "shard_size")
        require_number(key, cfg[key], least=least, most=MAX_INDEX, whole=True, optional=optional)
    require_number("truncation", cfg.truncation, above=0, optional=True)
    if cfg.select not in (None, "classifier"):
        raise UserError(f"select={cfg.select}: classifier, or null")
    if cfg.split not in SPLITS:
        raise UserError(f"split={cfg.split}: {' or '.join(SPLITS)}")
    require_switch("overwrite", cfg.overwrite)
    if cfg.mode in ("interpolate", "walk"):
        for key, unset in (("first", 0), ("select", None), ("shard_size", None)):
            if cfg[key] != unset:
                raise UserError(f"{key}={cfg[key]}: mode={cfg.mode} has no use for it; mode=sample has")


def _output(cfg: DictConfig, run_dir: Path) -> tuple[str, Path]:
    """The format and the absolute path of what is written, which must not be there unless it may be replaced."""
    by_ending = {ending: name for name, ending in ENDINGS.items() if ending}
    suffix = Path(str(cfg.output)).suffix if cfg.output is not None else ""
    image_format = cfg.format or by_ending.get(suffix) or ("gif" if cfg.mode == "walk" else "grid")
    if image_format not in ENDINGS:
        raise UserError(f"format={image_format}: {', '.join(ENDINGS)}")
    if cfg.shard_size is not None and image_format not in ("npz", "idx"):
        raise UserError(f"shard_size={cfg.shard_size}: only format=npz and format=idx have shards")
    if cfg.split != "train" and image_format != "idx":
        raise UserError(f"split={cfg.split}: only format=idx has a pair of files for each split")
    ending = "" if cfg.shard_size is not None else ENDINGS[image_format]
    if cfg.output is not None and ending and suffix != ending:
        raise UserError(f"output={cfg.output}: with format={image_format} its name ends in {ending}")
    path = run_dir / f"images{ending}" if cfg.output is None else Path(str(cfg.output)).absolute()
    if path.exists() and path.is_dir() != (not ending):
        raise UserError(f"output={path}: it is there, and not a {'file' if ending else 'folder'}")
    taken = path.exists() if ending else image_format == "png" and path.exists() and any(path.iterdir())
    if taken and not cfg.overwrite:  # folders of arrays may be gone on with or added to: `ArrayFiles` looks closer
        raise UserError(f"output={path}: it is there already; overwrite=true replaces it")
    return image_format, path


def _write_pictures(drawing: Drawing, folder: Path, start: int, stop: int) -> None:
    """A PNG for each image, named by its index and the digit asked for."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        if re.fullmatch(r"\d{6,}(_digit_\d+)?\.png", old.name):
            old.unlink()
    index = start
    for images in drawing.images(start, stop):
        labels = drawing.labels(index, index + len(images)).tolist()
        for number, (picture, label) in enumerate(zip(pictures(images), labels, strict=True), start=index):
            digit = f"_digit_{label}" if label >= 0 else ""
            with atomic_file(folder / f"{number:06d}{digit}.png") as file:
                file.write(png(picture))
        index += len(images)


def _write_sheet(drawing: Drawing, image_format: str, path: Path, start: int, stop: int) -> None:
    """All images as one picture, or as the frames of an animation."""
    images = torch.cat(list(drawing.images(start, stop)))
    with atomic_file(path) as file:
        if image_format == "grid":
            file.write(png(grid(images, drawing.columns)))
        else:
            size = 28 * GIF_SCALE
            save_gif([picture.resize((size, size), Image.Resampling.NEAREST) for picture in pictures(images)], file)
