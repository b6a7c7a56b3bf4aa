"""Files of any number of images, written in pieces, whole or not at all: .npy, .npz and IDX, in shards if wanted."""

import json
import re
import struct
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from torch import Tensor
from tqdm import tqdm

from gan.atomic_write import atomic_file
from gan.errors import UserError
from gan.generate.sampling import Drawing
from gan.inference import chunks

SETTINGS = "shards.json"
SPLITS = {"train": "train", "test": "t10k"}
Span = tuple[int, int]


class ArrayFiles:
    """What is written for a range of images: one file, or one of images and one of labels, or that for each shard.

    Args:
        image_format: npy, npz or idx.
        path: the file; a folder for idx and for shards.
        channels: of the images.
        labelled: whether IDX files of labels belong to them; -1 stands in an .npz where no digit was asked for.
        split: which of MNIST's IDX files they are, "train" or "test".
    """

    def __init__(self, image_format: str, path: Path, channels: int, labelled: bool, split: str = "train") -> None:
        self.image_format, self.path, self.channels, self.labelled = image_format, path, channels, labelled
        self.split = split

    def write(
        self,
        drawing: Drawing,
        start: int,
        stop: int,
        shard_size: int | None,
        settings: dict[str, Any],
        overwrite: bool,
    ) -> int:
        """Draws images start..stop-1 and writes them, with a progress bar on a terminal.

        Args:
            shard_size: shards are cut at its multiples; those that are there already, of the same settings, are kept.
            settings: all that the images depend on.
            overwrite: whether shards that are there, also of other settings, or IDX files in the way are replaced.

        Returns:
            How many images were drawn.

        Raises:
            UserError: other files are in the way: IDX files, or shards of other settings or cut elsewhere.
        """
        spans, sharded, old = [(start, stop)], shard_size is not None, []
        if sharded or self.image_format == "idx":
            self.path.mkdir(exist_ok=True)
        if self.image_format == "idx":
            old = self._in_the_way(sharded)
        if old and not overwrite:
            raise UserError(f"output={old[0]}: it is there already; overwrite=true replaces it")
        if sharded:
            spans = self._unfinished(list(chunks(start, stop, shard_size)), settings, overwrite)
        elif any(_span(path) for path in old) and self._noted(settings):
            old.append(self.path / SETTINGS)
        for path in old:
            path.unlink()
        total = sum(end - first for first, end in spans)
        with tqdm(total=total, unit=" images", unit_scale=True, disable=None, leave=False) as bar:
            for first, end in spans:
                self._write(drawing, first, end, self.files((first, end) if sharded else None), bar)
        return total

    def files(self, span: Span | None) -> list[Path]:
        """The files of a shard, or of everything; that of the images is the last."""
        middle = "" if span is None else f"-{span[0]:09d}-{span[1] - 1:09d}"
        if self.image_format == "idx":
            split = SPLITS[self.split]
            labels = [self.path / f"{split}-labels{middle}-idx1-ubyte"] if self.labelled else []
            return [*labels, self.path / f"{split}-images{middle}-idx3-ubyte"]
        return [self.path / f"images{middle}.npz" if middle else self.path]

    def _unfinished(self, spans: list[Span], settings: dict[str, Any], overwrite: bool) -> list[Span]:
        """Those of the shards that are to be written; what they take the place of is removed."""
        noted = self._noted(settings)
        there = {path: found for path in self.path.iterdir() if (found := _span(path))}
        if there and noted != settings and not overwrite:
            raise UserError(f"output={self.path}: it holds shards of other settings; overwrite=true replaces them")
        overlapping = [
            path for path, (first, end) in there.items() if any(first < stop and start < end for start, stop in spans)
        ]
        foreign = [path for path in overlapping if there[path] not in spans or path not in self.files(there[path])]
        if foreign and not overwrite:
            raise UserError(f"output={foreign[0]}: this shard has some of the images; overwrite=true replaces it")
        for path in (overlapping if noted == settings else there) if overwrite else ():
            path.unlink()
        if noted != settings:
            with atomic_file(self.path / SETTINGS) as file:
                file.write((json.dumps(settings) + "\n").encode())
        return [span for span in spans if not all(path.is_file() for path in self.files(span))]

    def _in_the_way(self, sharded: bool) -> list[Path]:
        """The IDX files of this split that one pair, or shards, must not lie beside."""
        span = "" if sharded else r"(-\d{9,}-\d{9,})?"
        name = rf"{SPLITS[self.split]}-(images{span}-idx3|labels{span}-idx1)-ubyte"
        return [path for path in self.path.iterdir() if re.fullmatch(name, path.name)]

    def _noted(self, settings: dict[str, Any]) -> dict[str, Any] | None:
        """The settings of the shards in the folder, where there are any.

        Raises:
            UserError: the file of that name is not of this program.
        """
        note = self.path / SETTINGS
        noted = _read_json(note) if note.exists() else None
        if note.exists() and not (isinstance(noted, dict) and noted.keys() == settings.keys()):
            raise UserError(f"output={self.path}: its {SETTINGS} is not of `gan generate`; name another folder")
        return noted

    def _write(self, drawing: Drawing, start: int, stop: int, files: list[Path], bar: tqdm) -> None:
        shape = (stop - start, self.channels, 28, 28)
        images = _counted(drawing.images(start, stop), bar)
        labels = (drawing.labels(*piece) for piece in chunks(start, stop))
        if self.image_format == "npy":
            with atomic_file(files[-1]) as file:
                _write_array(file, shape, "|u1", images)
        elif self.image_format == "npz":
            with atomic_file(files[-1]) as file, zipfile.ZipFile(file, "w") as archive:
                for name, extent, kind, pieces in (
                    ("images", shape, "|u1", images),
                    ("labels", shape[:1], "<i8", labels),
                ):
                    with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                        _write_array(member, extent, kind, pieces)
        else:
            if self.labelled:
                _write_idx(files[0], shape[:1], labels)
            _write_idx(files[-1], (shape[0], 28, 28), images)


def _counted(pieces: Iterable[Tensor], bar: tqdm) -> Iterator[Tensor]:
    for piece in pieces:
        yield piece
        bar.update(len(piece))


def _write_array(file: BinaryIO, shape: tuple[int, ...], kind: str, pieces: Iterable[Tensor]) -> None:
    """An array in NumPy's format."""
    np.lib.format.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": shape})
    for piece in pieces:
        file.write(piece.numpy().astype(kind, copy=False).tobytes())


def _write_idx(path: Path, shape: tuple[int, ...], pieces: Iterable[Tensor]) -> None:
    """Unsigned bytes in the format of MNIST: four bytes for their type and the dimensions, each size, the values."""
    with atomic_file(path) as file:
        file.write(struct.pack(f">4B{len(shape)}I", 0, 0, 0x08, len(shape), *shape))
        for piece in pieces:
            file.write(piece.numpy().astype("|u1", copy=False).tobytes())


def _span(path: Path) -> Span | None:
    """The first image of a shard and the one after its last; None for another file."""
    match = re.fullmatch(r"(?:train-|t10k-)?(?:images|labels)-(\d{9,})-(\d{9,})(?:\.npz|-idx[13]-ubyte)", path.name)
    return (int(match[1]), int(match[2]) + 1) if match else None


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except ValueError:
        return None
