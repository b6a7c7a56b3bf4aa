"""IDX files, the format of MNIST: finding, reading and downloading them.

torchvision's readers and download are not used because they cannot read a `.gz` file, do not notice a truncated or
overlong one, name neither the file nor the fault in their errors, have no timeout and do not write atomically.
"""

import gzip
import hashlib
import http.client
import logging
import math
import struct
import urllib.request
import zlib
from collections.abc import Iterable, Sequence
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
    """The files of a data set are not on the disk, and no mirror has them."""


def present(folder: Path) -> dict[str, Path]:
    """The path of each of the four files that is in a folder, by its name."""
    return {name: path for (_, name), path in by_standard_name(files_in(folder)).items() if name in ALL_NAMES}


def by_standard_name(files: Iterable[Path]) -> dict[tuple[Path, str], Path]:
    """The files by folder and standard name; of several of one name a plain one before a `.gz`.

    Some tools write `train-images.idx3-ubyte`, or capitals.
    """
    ordered = sorted(files, key=lambda path: (_is_packed(path), path.name != standard_name(path), path))
    return {(path.parent, standard_name(path)): path for path in reversed(ordered)}


def standard_name(path: Path) -> str:
    """The name that a file has in `ALL_NAMES`, if it is one of the four."""
    return path.name.lower().removesuffix(".gz").replace(".", "-")


def files_in(folder: Path) -> list[Path]:
    """The files in a folder, none if there is no folder; a UserError if they cannot be listed."""
    try:
        return [path for path in folder.iterdir() if path.is_file()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UserError(f"data.dir: {folder.absolute()} cannot be read ({error.strerror})") from error


def _is_packed(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def read_bytes(path: Path) -> bytes:
    """A file's content, decompressed if its first bytes are gzip's; a UserError if that cannot be done.

    Its name does not matter: browsers decompress a file and keep `.gz`.
    """
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: can't be read ({error}); replace this file or delete it") from error


def parse(content: bytes, name: str) -> Tensor:
    """The array in an IDX file of unsigned bytes: uint8, of the shape in its header.

    Raises:
        UserError: the content is something else, or truncated. The error names the file or URL.
    """
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTE:
        raise UserError(f"{name}: not an IDX file of unsigned bytes; replace this file or delete it")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise UserError(f"{name}: truncated in its header; replace this file or delete it")
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    if len(content) != start + math.prod(shape):
        raise UserError(
            f"{name}: it has {len(content):,} bytes, and by its header {start + math.prod(shape):,}; "
            "replace this file or delete it"
        )
    if 0 in shape:
        raise UserError(f"{name}: it is empty; replace this file or delete it")
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=start).view(shape)


def read_split(images_path: Path, labels_path: Path, num_labels: int) -> tuple[Tensor, Tensor]:
    """Images and labels of one split: uint8 [N, 1, 28, 28] and int64 [N] in 0..num_labels-1.

    Raises:
        UserError: a file is not IDX, is truncated, or does not match the other one; the error names the file.
    """
    images = parse(read_bytes(images_path), str(images_path))
    labels = parse(read_bytes(labels_path), str(labels_path))
    if images.dim() != 3 or images.shape[1:] != (28, 28):
        raise UserError(f"{images_path}: its array is {tuple(images.shape)}, not images of 28x28")
    if labels.dim() != 1 or len(labels) != len(images):
        raise UserError(f"{labels_path}: {tuple(labels.shape)} labels for the {len(images):,} images of {images_path}")
    if labels.max() >= num_labels:
        raise UserError(f"{labels_path}: it has the label {labels.max()}; labels are 0..{num_labels - 1}")
    return images.unsqueeze(1), labels.long()


def download(name: str, mirrors: Sequence[str], md5: str, folder: Path, timeout: float) -> None:
    """Downloads `name.gz` from the first mirror that has it with the right checksum, and writes it decompressed.

    The write is atomic, also when two processes download at once.

    Args:
        md5: the checksum of the compressed file.
        timeout: seconds to wait for a mirror's answer before the next one is tried.

    Raises:
        DataNotFoundError: no mirror had the file; the error has the answer of each.
        UserError: the folder cannot be written to.
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
                raise ValueError("wrong MD5 checksum")
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
    """Writes a data file atomically, and its folder if there is none; a UserError if that cannot be done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    except OSError as error:
        raise UserError(f"data.dir: can't write {path.absolute()} ({error.strerror})") from error
