"""The picture formats of `gan generate`: a grid, an animation, or a PNG file for each image."""

import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from gan.atomic_write import atomic_file, flush_folder, write_atomic
from gan.generate.modes import ImageSequence
from gan.images import animation, enlarge, grid, pictures, png, save_gif

PICTURE_ENDINGS = {"grid": ".png", "gif": ".gif", "png": ""}  # "": a folder
UNFINISHED = ".gan-generate-"  # how the name of the folder starts that a killed command leaves


def write_pictures(
    image_format: str, path: Path, sequence: ImageSequence, start: int, stop: int, scale: int | None = None
) -> None:
    """Writes images start..stop-1 in a format of `PICTURE_ENDINGS`; each file is written atomically.

    Args:
        scale: pixels on a side of each pixel; None: 1 in a file for each image, 8 in an animation, and as many as a
            grid needs to be looked at.
    """
    if image_format == "png":
        return _write_png_files(path, sequence, start, stop, scale or 1)
    images = torch.cat(list(sequence.images(start, stop)))
    with atomic_file(path) as file:
        if image_format == "grid":
            file.write(png(enlarge(grid(images, sequence.columns), scale)))
        else:
            save_gif(animation(images, scale), file)


def _write_png_files(folder: Path, sequence: ImageSequence, start: int, stop: int, scale: int) -> None:
    """Names each file by index and label, in place of earlier files of this kind and of what a killed command left."""
    folder.mkdir(exist_ok=True)
    for unfinished in folder.glob(f"{UNFINISHED}*"):
        shutil.rmtree(unfinished)
    old = {path for path in folder.iterdir() if re.fullmatch(r"\d{6,}(_digit_\d+)?\.png", path.name)}
    index = start
    with TemporaryDirectory(prefix=UNFINISHED, dir=folder) as hidden:
        for images in sequence.images(start, stop):
            labels = sequence.labels(index, index + len(images)).tolist()
            for number, (picture, label) in enumerate(zip(pictures(images), labels, strict=True), start=index):
                digit = f"_digit_{label}" if label >= 0 else ""
                write_atomic(Path(hidden, f"{number:06d}{digit}.png"), png(enlarge(picture, scale)))
            index += len(images)
        for path in old:
            path.unlink()
        for path in Path(hidden).iterdir():
            path.rename(folder / path.name)
    flush_folder(folder)
