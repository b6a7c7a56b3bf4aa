"""IDX files, the format MNIST comes in: finding, reading and downloading them."""

import gzip
import hashlib
import http.client
import logging
import math
import struct
import urllib.request
import zlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from gan.atomic_write import write_atomic
from gan.errors import UserError

NAMES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
ALL_NAMES = NAMES["train"] + NAMES["test"]
UNSIGNED_BYTE = 0x08

log = logging.getLogger(__name__)


class DataNotFoundError(UserError):
    """The files of a data set are neither on the disk nor to be had from a mirror."""


def present(folder: Path) -> dict[str, Path]:
    """Those of the four files that lie in a folder, plain or as `.gz`."""
    candidates = {name: (folder / name, folder / f"{name}.gz") for name in ALL_NAMES}
    return {name: path for name, paths in candidates.items() for path in reversed(paths) if path.is_file()}


def read_bytes(path: Path) -> bytes:
    """The content of a file, unpacked where it is packed: its first bytes tell, since browsers unpack and keep `.gz`.

    Raises:
        UserError: the file can't be read or unpacked.
    """
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: can't be read ({error}); replace this file or delete it") from error


def parse(content: bytes, name: str) -> Tensor:
    """The array in an IDX file of unsigned bytes: uint8, of the shape its header names.

    Args:
        name: the file or address, for the error.

    Raises:
        UserError: the content is something else, or cut off.
    """
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTE:
        raise UserError(f"{name}: not an IDX file of unsigned bytes; replace this file or delete it")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise UserError(f"{name}: cut off within its header; replace this file or delete it")
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    if len(content) != start + math.prod(shape):
        raise UserError(
            f"{name}: {len(content):,} bytes where its header promises {start + math.prod(shape):,}; "
            "replace this file or delete it"
        )
    if 0 in shape:
        raise UserError(f"{name}: holds nothing; replace this file or delete it")
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=start).view(shape)


def read_split(images_path: Path, labels_path: Path, num_labels: int) -> tuple[Tensor, Tensor]:
    """Images and labels of one split: uint8 [N, 1, 28, 28] and int64 [N] in 0..num_labels-1.

    Raises:
        UserError: a file is not IDX, is cut off, or the two don't fit each other; it names the file.
    """
    images = parse(read_bytes(images_path), str(images_path))
    labels = parse(read_bytes(labels_path), str(labels_path))
    if images.dim() != 3 or images.shape[1:] != (28, 28):
        raise UserError(f"{images_path}: holds an array of {tuple(images.shape)}, not images of 28x28")
    if labels.dim() != 1 or len(labels) != len(images):
        raise UserError(f"{labels_path}: {tuple(labels.shape)} labels for the {len(images):,} images of {images_path}")
    if labels.max() >= num_labels:
        raise UserError(f"{labels_path}: holds the label {labels.max()}, where 0..{num_labels - 1} are known")
    return images.unsqueeze(1), labels.long()


def download(name: str, mirrors: Sequence[str], md5: str, folder: Path, timeout: float) -> None:
    """Puts one file, unpacked, into the folder: from the first mirror that has `name.gz` with the right sum.

    The file appears whole or not at all, also when two processes download it at once.

    Args:
        md5: the sum of the packed file.
        timeout: seconds without an answer after which a mirror is given up.

    Raises:
        DataNotFoundError: what each mirror answered.
        UserError: the folder can't be written.
    """
    failures = []
    for mirror in mirrors:
        url = f"{mirror.rstrip('/')}/{name}.gz"
        log.info("Downloading %s", url)
        try:
            request = urllib.request.Request(url, headers={"User-Agent": "mnist-gan"})
            with urllib.request.urlopen(request, timeout=timeout) as response:
                packed = response.read()
            if hashlib.md5(packed, usedforsecurity=False).hexdigest() != md5:
                raise ValueError("another md5 sum than expected")
            content = gzip.decompress(packed)
            parse(content, url)
        except (OSError, http.client.HTTPException, EOFError, zlib.error, ValueError) as error:
            failures.append(f"{url}: {str(error) or type(error).__name__}")
            log.warning("Mirror failed: %s", failures[-1])
            continue
        save_file(folder / name, content)
        return
    raise DataNotFoundError("; ".join(failures) or "no mirrors given")


def save_file(path: Path, content: bytes) -> None:
    """Writes a data file atomically, and its folder where there is none.

    Raises:
        UserError: it can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    except OSError as error:
        raise UserError(f"data.dir: can't write {path.absolute()} ({error.strerror})") from error
