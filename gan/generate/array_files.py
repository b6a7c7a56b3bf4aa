"""The array formats of `gan generate`: .npy, .npz and IDX files of any size, written while images are generated."""

import json
import logging
import os
import re
import struct
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from torch import Tensor
from tqdm import tqdm

from gan.atomic_write import atomic_file, atomic_files, write_atomic
from gan.errors import UserError
from gan.generate.modes import ImageSequence
from gan.idx_files import NAMES, UNSIGNED_BYTE, standard_name
from gan.inference import chunks
from gan.optional_files import read_json

ARRAY_ENDINGS = {"npy": ".npy", "npz": ".npz", "idx": ""}  # "": a folder
SETTINGS_FILE = "shards.json"
Span = tuple[int, int]

log = logging.getLogger("gan")


class ArrayFiles:
    """Where the arrays of a sequence of images are written: one file or pair of files, or one for each shard.

    An .npz file always has labels: -1 for an image without one. IDX files and shards have a folder for their path.
    """

    def __init__(self, sequence: ImageSequence, channels: int, image_format: str, path: Path, split: str) -> None:
        self.sequence, self.channels = sequence, channels
        self.image_format, self.path, self.split = image_format, path, split

    def write(
        self,
        start: int,
        stop: int,
        shard_size: int | None,
        settings: dict[str, Any],
        overwrite: bool,
        progress: bool = True,
    ) -> None:
        """Generates images start..stop-1 and writes them; complete shards of the same settings are kept.

        A UserError unless `overwrite` where IDX files exist, or shards of other settings or of another size.
        """
        sharded = shard_size is not None
        if sharded or self.image_format == "idx":
            self.path.mkdir(exist_ok=True)
        old = self._conflicting_idx_files(sharded) if self.image_format == "idx" else []
        if old and not overwrite:
            raise UserError(f"output={old[0]}: it is there already; overwrite=true replaces it")
        spans = [(start, stop)]
        if shard_size is not None:
            spans = self._missing_shards(list(chunks(start, stop, shard_size)), settings, overwrite)
        elif any(_span(path) for path in old) and self._recorded_settings(settings):
            old.append(self.path / SETTINGS_FILE)
        if sharded:  # a killed command then resumes
            for path in old:
                path.unlink()
            old = []
        total = sum(end - first for first, end in spans)
        started = time.perf_counter()
        with tqdm(total=total, unit=" images", unit_scale=True, disable=None if progress else True, leave=False) as bar:
            for first, end in spans:
                files = self.files((first, end) if sharded else None)
                kept = partial(require_absent, [] if overwrite else files)
                check = partial(self._require_settings, settings) if sharded else kept
                self._write_span(first, end, files, bar, old, check)
        seconds = time.perf_counter() - started
        if total:
            log.info("%s images in %.1f s, %s images/s", f"{total:,}", seconds, f"{total / seconds:,.0f}")
        else:
            log.info("all %s images are there already", f"{stop - start:,}")

    def files(self, shard: Span | None) -> list[Path]:
        """The files of a shard, or of all images. The last one holds the images."""
        middle = "" if shard is None else f"-{shard[0]:09d}-{shard[1] - 1:09d}"
        if self.image_format == "idx":
            images, labels = (self.path / name.replace("-idx", f"{middle}-idx") for name in NAMES[self.split])
            return [labels, images] if self.sequence.labelled else [images]
        return [self.path / f"images{middle}.npz" if middle else self.path]

    def _missing_shards(self, spans: list[Span], settings: dict[str, Any], overwrite: bool) -> list[Span]:
        """Those of the shards that do not exist yet. Existing ones that must be replaced are deleted first."""
        recorded = self._recorded_settings(settings)
        existing = {path: found for path in self.path.iterdir() if (found := _span(path))}
        if existing and recorded != settings and not overwrite:
            raise UserError(f"output={self.path}: it holds shards of other settings; overwrite=true replaces them")
        start, stop = spans[0][0], spans[-1][1]
        overlapping = [path for path, (first, end) in existing.items() if first < stop and start < end]
        other = [path for path in overlapping if existing[path] not in spans or path not in self.files(existing[path])]
        if other and not overwrite:
            raise UserError(f"output={other[0]}: this shard has some of the images; overwrite=true replaces it")
        if overwrite:
            for path in overlapping if recorded == settings else existing:
                path.unlink()
        if recorded != settings:
            write_atomic(self.path / SETTINGS_FILE, json.dumps(settings) + "\n")
        return [span for span in spans if not all(path.is_file() for path in self.files(span))]

    def _conflicting_idx_files(self, sharded: bool) -> list[Path]:
        """Existing IDX files of this split: a pair for all images when shards are written, and any for a new pair."""
        span = "" if sharded else r"(-\d{9,}-\d{9,})?"
        names = "|".join(name.replace("-idx", f"{span}-idx") for name in NAMES[self.split])
        return [path for path in self.path.iterdir() if re.fullmatch(names, standard_name(path))]

    def _recorded_settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The settings recorded beside the shards in the folder, if any."""
        recorded = read_json(self.path / SETTINGS_FILE)
        if recorded.keys().isdisjoint(settings) and (self.path / SETTINGS_FILE).exists():
            raise UserError(f"output={self.path}: its {SETTINGS_FILE} is not of `gan generate`; name another folder")
        return recorded

    def _require_settings(self, settings: dict[str, Any]) -> None:
        """Raises a UserError if another command has meanwhile recorded other settings of the shards."""
        if self._recorded_settings(settings) != settings:
            raise UserError(f"output={self.path}: another command writes other images there; name another folder")

    def members(self, images: Iterable[Tensor], start: int, stop: int) -> dict[str, Callable[[IO[bytes]], None]]:
        """By the names of the arrays in an archive, what writes each: images start..stop-1, in pieces, and labels."""
        count = stop - start
        labels = (self.sequence.labels(*piece) for piece in chunks(start, stop))
        if self.image_format == "idx":
            write_images = partial(_write_idx, shape=(count, 28, 28), pieces=images)
            write_labels = partial(_write_idx, shape=(count,), pieces=labels)
            images_name, labels_name = NAMES[self.split]
            with_labels = {labels_name: write_labels} if self.sequence.labelled else {}
            return {**with_labels, images_name: write_images}
        write_images = partial(_write_array, shape=(count, self.channels, 28, 28), dtype="|u1", pieces=images)
        write_labels = partial(_write_array, shape=(count,), dtype="<i8", pieces=labels)
        with_labels = {"labels.npy": write_labels} if self.image_format == "npz" else {}
        return {"images.npy": write_images, **with_labels}

    def _write_span(
        self, start: int, stop: int, files: list[Path], bar: tqdm, old: Sequence[Path], check: Callable[[], None]
    ) -> None:
        """Writes a file or a pair of files in place of old ones, which stay until the new ones pass the check."""
        members = self.members(_with_progress(self.sequence.images(start, stop), bar, check), start, stop)
        if self.image_format == "npz":
            write_archive(files[-1], members)
            return
        with atomic_files(files) as temporary:
            for path, write in zip(temporary, members.values(), strict=True):
                with path.open("xb") as file:
                    write(file)
            for path in old:  # before the first of a pair is renamed: no new images stand beside old labels
                path.unlink()


def require_absent(files: Iterable[Path]) -> None:
    """Raises a UserError for a file that another command has written since this one began."""
    if there := [path for path in files if os.path.lexists(path)]:
        raise UserError(f"output={there[0]}: it is there already, of another command; overwrite=true replaces it")


def write_archive(path: Path, members: Mapping[str, Callable[[IO[bytes]], None]]) -> None:
    """Writes a zip file atomically, the same bytes for the same members."""
    with atomic_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, write in members.items():
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member:
                write(member)


def _with_progress(pieces: Iterable[Tensor], bar: tqdm, at_end: Callable[[], None]) -> Iterator[Tensor]:
    for piece in pieces:
        yield piece
        bar.update(len(piece))
    at_end()


def _write_array(file: IO[bytes], shape: tuple[int, ...], dtype: str, pieces: Iterable[Tensor]) -> None:
    """Writes an array in NumPy's format."""
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    for piece in pieces:
        file.write(piece.numpy().astype(dtype, copy=False).tobytes())


def _write_idx(file: IO[bytes], shape: tuple[int, ...], pieces: Iterable[Tensor]) -> None:
    """Writes unsigned bytes in MNIST's format: type and number of dimensions in four bytes, the sizes, the values."""
    file.write(struct.pack(f">4B{len(shape)}I", 0, 0, UNSIGNED_BYTE, len(shape), *shape))
    for piece in pieces:
        file.write(piece.numpy().astype("|u1", copy=False).tobytes())


def _span(path: Path) -> Span | None:
    """The first image of a shard and the one after its last; None for another file."""
    name = r"(?:train-|t10k-)?(?:images|labels)-(\d{9,})-(\d{9,})-(?:npz|idx[13]-ubyte)"
    match = re.fullmatch(name, standard_name(path))
    return (int(match[1]), int(match[2]) + 1) if match else None
