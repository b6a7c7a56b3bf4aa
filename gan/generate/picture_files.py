"""The picture formats of `gan generate`: a grid, an animation, or a PNG file for each image."""

import re
from pathlib import Path

import torch
from PIL import Image

from gan.atomic_write import atomic_file, write_atomic
from gan.generate.modes import ImageSequence
from gan.images import grid, pictures, png, save_gif

PICTURE_ENDINGS = {"grid": ".png", "gif": ".gif", "png": ""}  # "": a folder
GIF_SCALE = 8


def write_pictures(image_format: str, path: Path, sequence: ImageSequence, start: int, stop: int) -> None:
    """Writes images start..stop-1 in a format of `PICTURE_ENDINGS`; each file is written atomically."""
    if image_format == "png":
        return _write_png_files(path, sequence, start, stop)
    images = torch.cat(list(sequence.images(start, stop)))
    with atomic_file(path) as file:
        if image_format == "grid":
            file.write(png(grid(images, sequence.columns)))
        else:
            size = 28 * GIF_SCALE
            save_gif([picture.resize((size, size), Image.Resampling.NEAREST) for picture in pictures(images)], file)


def _write_png_files(folder: Path, sequence: ImageSequence, start: int, stop: int) -> None:
    """Names each file by the image's index and label, in place of any earlier files of this kind."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        if re.fullmatch(r"\d{6,}(_digit_\d+)?\.png", old.name):
            old.unlink()
    index = start
    for images in sequence.images(start, stop):
        labels = sequence.labels(index, index + len(images)).tolist()
        for number, (picture, label) in enumerate(zip(pictures(images), labels, strict=True), start=index):
            digit = f"_digit_{label}" if label >= 0 else ""
            write_atomic(folder / f"{number:06d}{digit}.png", png(picture))
        index += len(images)
