"""IDX files, the format of MNIST: their names and their content.

torchvision's reader cannot read a `.gz` file, does not notice an overlong one, and names neither file nor fault.
"""

import gzip
import math
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from gan.errors import UserError

NAMES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
ALL_NAMES = NAMES["train"] + NAMES["test"]
UNSIGNED_BYTE = 0x08


def require_mnist_format(channels: int, num_classes: int | None) -> None:
    """Raises a UserError unless MNIST's files can hold images and labels of such a model."""
    if channels != 1:
        raise UserError(f"format=idx: MNIST's files have one channel, this model has {channels}")
    if (num_classes or 0) > 256:
        raise UserError(f"format=idx: labels are bytes, 0 to 255, and this model has {num_classes} classes")


def present(folder: Path) -> dict[str, Path]:
    """The path of each of the four files that is in a folder, by its name."""
    return {name: path for (_, name), path in by_standard_name(files_in(folder)).items() if name in ALL_NAMES}


def files_in(folder: Path) -> list[Path]:
    """The files in a folder, none if there is no folder; a UserError if they cannot be listed.

    Hidden ones are left out, such as what another process is writing there, or a killed one has left. A link
    that leads nowhere is not: its reader says so.
    """
    try:
        return [path for path in folder.iterdir() if not (path.name.startswith(".") or path.is_dir())]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UserError(f"data.dir: {folder.absolute()} cannot be read ({error.strerror})") from error


def by_standard_name(files: Iterable[Path]) -> dict[tuple[Path, str], Path]:
    """The files by folder and standard name; of several of one name a plain one before a `.gz`."""
    ordered = sorted(files, key=lambda path: (path.suffix.lower() == ".gz", path.name != standard_name(path), path))
    return {(path.parent, standard_name(path)): path for path in reversed(ordered)}


def standard_name(path: Path) -> str:
    """The name as in `ALL_NAMES`: some tools write `train-images.idx3-ubyte`, or capitals."""
    return path.name.lower().removesuffix(".gz").replace(".", "-")


def read_bytes(path: Path | str) -> bytes:
    """A file's content, decompressed if its first bytes are gzip's: browsers decompress a file and keep `.gz`."""
    try:
        content = Path(path).read_bytes()
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


def read_split(images_path: Path | str, labels_path: Path | str, num_labels: int) -> tuple[Tensor, Tensor]:
    """Images uint8 [N, 1, 28, 28] and labels int64 [N] in 0..num_labels-1; a UserError names the file at fault."""
    images = parse(read_bytes(images_path), str(images_path))
    labels = parse(read_bytes(labels_path), str(labels_path))
    if images.dim() != 3 or images.shape[1:] != (28, 28):
        raise UserError(f"{images_path}: its array is {tuple(images.shape)}, not images of 28x28")
    if labels.dim() != 1 or len(labels) != len(images):
        raise UserError(f"{labels_path}: {tuple(labels.shape)} labels for the {len(images):,} images of {images_path}")
    if labels.max() >= num_labels:
        raise UserError(f"{labels_path}: it has the label {labels.max()}; labels are 0..{num_labels - 1}")
    return images.unsqueeze(1), labels.long()
