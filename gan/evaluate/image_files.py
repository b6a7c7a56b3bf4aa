"""Reads images, and their labels where there are any, from a file or a folder: `gan evaluate images=...`."""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from gan import idx_files as idx
from gan.errors import UserError, one_line

PICTURES = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".avif", ".jp2", ".tga"}
PICTURES |= {".pbm", ".pgm", ".ppm", ".pnm"}
IMAGE_NAMES = ("images", "image", "samples", "x", "x_test", "x_train", "data", "arr_0")
LABEL_NAMES = ("labels", "label", "y", "y_test", "y_train", "targets", "classes", "digits", "arr_1")
IDX_IMAGES = re.compile(r"(?P<split>.*?)images.*idx3-ubyte", re.IGNORECASE)
ALLOWED = "a folder of pictures, an .npz, an .npy or an IDX file"
IDX = bytes([0, 0, idx.UNSIGNED_BYTE])  # how an IDX file starts
DEEPEST = 65535  # of 16 bits

log = logging.getLogger("gan")


@dataclass(frozen=True)
class ReadImages:
    """Arrays of images in one order, the labels that came with them, and whether the pixels are known to be 0..255.

    `unclear` says why labels of another file may be in another order; None where they are in this one.
    """

    arrays: Iterable[np.ndarray]
    labels: Any | None
    of_8_bits: bool = False
    unclear: str | None = None


def read_images(path: Path) -> ReadImages:
    """The images of `images=PATH`.

    A folder has pictures, or .npz or IDX files that `gan generate` wrote as shards. The label of a picture is the
    number at the end of its name (`000007_digit_3.png`, or without the last `_`) or the name of its folder
    (`3/000007.png`). The labels of an IDX file are in the file beside it. What is hidden in a folder is left out.
    """
    if path.is_dir():
        return _folder(path)
    if path.suffix.lower() in (".npz", ".npy"):
        return _numpy([path])
    if path.suffix.lower() in PICTURES:
        raise UserError(f"images={path}: one picture; {ALLOWED}")
    if idx.read_bytes(path)[:3] != IDX:
        raise UserError(f"images={path}: not a file of images that is known here; {ALLOWED}")
    return _idx([path])


def read_labels(path: Path) -> np.ndarray:
    """The labels of `labels=PATH`: an .npy, an .npz, an IDX file, or a text file of numbers."""
    if path.suffix.lower() in (".npz", ".npy"):
        arrays = _load(path, "labels")
        return _named(arrays, LABEL_NAMES if len(arrays) > 1 else tuple(arrays), path, "labels")
    if path.suffix.lower() in (".txt", ".csv"):
        try:
            return np.array(path.read_text(encoding="utf-8-sig").replace(",", " ").split(), dtype=np.int64)
        except (ValueError, OverflowError, OSError) as error:
            raise UserError(f"labels={path}: not a text of whole numbers ({error})") from error
    content = idx.read_bytes(path)
    if content[:3] != IDX:
        allowed = "an .npz, an .npy, an IDX file, or a .txt or .csv of whole numbers"
        raise UserError(f"labels={path}: not a file of labels that is known here; {allowed}")
    return idx.parse(content, f"labels={path}").numpy()


def _folder(folder: Path) -> ReadImages:
    try:
        files = list(_files(folder))
    except OSError as error:
        raise UserError(f"images={folder}: {error.filename} cannot be read ({error.strerror})") from error
    pictures = [path for path in files if path.suffix.lower() in PICTURES]
    npz = [path for path in files if path.suffix.lower() == ".npz"]
    by_split: dict[str, list[Path]] = {}
    for (parent, name), path in sorted(idx.by_standard_name(files).items()):
        if match := IDX_IMAGES.fullmatch(name):
            by_split.setdefault(f"{parent}/{match['split']}", []).append(path)
    kinds = [kind for kind in (pictures, npz, *by_split.values()) if kind]
    if not kinds:
        raise UserError(f"images={folder}: no pictures there; {ALLOWED}")
    if len(kinds) > 1:
        names = ", ".join(str(kind[0].relative_to(folder)) for kind in kinds)
        raise UserError(f"images={folder}: images of several kinds are there ({names}); name one of them")
    if pictures:
        labels = [_label(path, folder) for path in pictures]
        if None in labels and set(labels) != {None}:
            without = pictures[labels.index(None)].relative_to(folder)
            log.warning("images=%s: %s has no label, so none of the labels there is used", folder, without)
        return ReadImages(map(_picture, pictures), None if None in labels else labels, True, _unclear_order(pictures))
    return _numpy(npz) if npz else _idx(kinds[0])


def _files(folder: Path, above: Sequence[Path] = ()) -> Iterator[Path]:
    """The files in a folder and below it, by name and without hidden ones; links are followed, but not upwards."""
    own = folder.resolve()
    for path in sorted(folder.iterdir()) if own not in above else ():
        if path.is_dir() and not path.name.startswith("."):
            yield from _files(path, (*above, own))
        elif not path.name.startswith(".") and (path.is_file() or path.is_symlink()):  # a broken link is told later
            yield path


def _unclear_order(paths: Sequence[Path]) -> str | None:
    """One line where the order by name, in which 10.png comes before 2.png, is not that of the numbers in the names."""

    def by_number(path: Path) -> list[str]:
        return [re.sub("[0-9]+", lambda digits: digits[0].zfill(20), part) for part in path.parts]

    pairs = zip(paths, sorted(paths, key=by_number), strict=True)
    first = next(((one.name, other.name) for one, other in pairs if one != other), None)
    return None if first is None else f"{first[0]} is first by name, but {first[1]} by number"


def _label(path: Path, folder: Path) -> int | None:
    match = re.search(r"_digit_?(\d+)$", path.stem)
    name = match[1] if match else path.parent.name if path.parent != folder else ""
    return int(name) if re.fullmatch(r"[0-9]{1,4}", name) else None


def _picture(path: Path) -> np.ndarray:
    """One picture: uint8 [1, H, W] or [1, H, W, C]."""
    try:
        with Image.open(path) as picture:
            frames, deep = getattr(picture, "n_frames", 1), picture.mode.startswith(("I", "F"))
            upright = ImageOps.exif_transpose(picture)
            grey = "L" if picture.mode in ("1", "L") else "RGB"
            mode = picture.mode if deep else "RGBA" if upright.has_transparency_data else grey
            pixels = np.asarray(upright.convert(mode))[None]
    except Exception as error:  # Pillow's decoders raise many kinds
        raise UserError(f"images={path}: not a readable picture ({one_line(error, 120)})") from error
    if frames > 1:
        raise UserError(f"images={path}: {frames} pictures in one file; a file for each is needed")
    return _of_16_bits(pixels, path) if deep else pixels


def _of_16_bits(pixels: np.ndarray, path: Path) -> np.ndarray:
    """Pixels of 0..65535 as uint8; a UserError for others, such as floats of unknown range."""
    least, most = pixels.min(), pixels.max()
    if pixels.dtype.kind == "f" or least < 0 or 0 < most <= 255 or most > DEEPEST:
        allowed = f"whole numbers up to 255 in 8 bits or up to {DEEPEST} in 16; an .npy file may have others"
        raise UserError(f"images={path}: {pixels.dtype} from {least:g} to {most:g}; a picture has {allowed}")
    return (pixels // (DEEPEST // 255)).astype(np.uint8)


def _numpy(paths: list[Path]) -> ReadImages:
    opened = [_load(path, "images") for path in paths]
    images = [_named(arrays, IMAGE_NAMES, path, "images") for arrays, path in zip(opened, paths, strict=True)]
    labels = [[arrays[name] for name in LABEL_NAMES if name in arrays] for arrays in opened]
    classes = np.concatenate([found[0] for found in labels]) if all(labels) else None
    return ReadImages(images, classes, unclear=_unclear_order(paths))


def _load(path: Path, key: str) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by their names in small letters, or that of an .npy file by the key."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {key: loaded}
        with loaded as archive:
            named = dict(archive)
        small = {name.lower(): array for name, array in named.items()}
        return small if len(small) == len(named) else named  # x and X may be two arrays
    except Exception as error:  # NumPy and zipfile raise many kinds, and a damaged header is parsed as Python text
        what = f"not a readable {path.suffix} file of numbers"
        raise UserError(f"{key}={path}: {what} ({one_line(error, 120)})") from error


def _named(arrays: dict[str, np.ndarray], names: tuple[str, ...], path: Path, key: str) -> np.ndarray:
    found = [name for name in names if name in arrays]
    if key == "images" and not found:
        found = [name for name, array in arrays.items() if array.ndim > 1]
    if len(found) != 1:
        has = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items()) or "nothing"
        raise UserError(f"{key}={path}: it has {has}; call one of them {key}")
    return arrays[found[0]]


def _idx(paths: list[Path]) -> ReadImages:
    """The images of IDX files of one folder, and their labels if each has them beside it."""
    arrays = [idx.parse(idx.read_bytes(path), f"images={path}").numpy() for path in paths]
    files = idx.by_standard_name(file for file in paths[0].parent.glob("*") if file.is_file())
    beside = [file for path in paths if (file := _labels_beside(path, files)) is not None]
    if len(beside) < len(paths):
        return ReadImages(arrays, None, unclear=_unclear_order(paths))
    labels = [idx.parse(idx.read_bytes(path), f"labels={path}").numpy() for path in beside]
    return ReadImages(arrays, np.concatenate(labels), unclear=_unclear_order(paths))


def _labels_beside(path: Path, files: Mapping[tuple[Path, str], Path]) -> Path | None:
    """The file of an IDX file's labels, of those beside it."""
    own = idx.standard_name(path)
    name = own.replace("images", "labels").replace("idx3", "idx1")
    return None if name == own else files.get((path.parent, name))
