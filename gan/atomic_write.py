"""Atomic and durable writes: a file under its name is always complete, even after a kill or a power cut."""

import json
import os
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Opens a temporary file beside `path` and renames it to `path` at the end, replacing any existing file.

    The temporary name is unique, so two processes may write the same file. Content and name are on the disk when this
    ends. If writing fails, the temporary file is deleted and the existing file is unchanged.

    Raises:
        OSError: with `path` as its file name, also where the system names none (a full disk).
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        flush_to_disk(path.parent)
    except OSError as error:
        raise _named(error, path) from error
    finally:
        with suppress(OSError):  # it is gone already, or its folder is
            temporary.unlink()


@contextmanager
def atomic_files(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Gives a temporary path for each file of one folder. At the end they are renamed; if the block fails none is."""
    try:
        with TemporaryDirectory(prefix=".", dir=paths[0].parent) as folder:
            temporary = [Path(folder, path.name) for path in paths]
            yield temporary
            for source in temporary:
                flush_to_disk(source)
            for source, path in zip(temporary, paths, strict=True):
                os.replace(source, path)
        flush_to_disk(paths[0].parent)
    except OSError as error:
        raise _named(error, paths[0].parent) from error


def write_atomic(path: Path, content: bytes | str) -> None:
    """Writes a file atomically; text is encoded as UTF-8, or as the bytes of a path that is not."""
    with atomic_file(path) as file:
        file.write(content.encode(errors="surrogateescape") if isinstance(content, str) else content)


def write_json(path: Path, content: Any) -> None:
    """Writes an indented JSON file atomically."""
    write_atomic(path, json.dumps(content, indent=2) + "\n")


def hindrance_to_writing(folder: Path) -> str | None:
    """Why no file can be written into a folder that is there, or would be made; None if one can."""
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not there.exists():
        return f"{there} is a link to {os.readlink(there)}, which is not there"
    if not there.is_dir():
        return "Not a directory"
    return None if os.access(there, os.W_OK) and os.access(there, os.X_OK) else "Permission denied"


def remove_temporary_files(*folders: Path) -> None:
    """Deletes what killed writes have left in these folders, not below them; nobody else may be writing there."""
    for path in (path for folder in folders for path in folder.glob(".*")):
        if re.fullmatch(r"\..+\.[0-9a-f]{32}", path.name) and path.is_file():
            path.unlink()


def flush_to_disk(path: Path) -> None:
    """Waits until the content of a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _named(error: OSError, path: Path) -> OSError:
    """The same error with the name of the file that was to be written, not of the temporary one."""
    return OSError(error.errno, error.strerror or str(error), str(path))
