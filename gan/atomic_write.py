"""Atomic writes: a file under its name is always complete, even if the program is killed while it writes."""

import json
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Opens a temporary file beside `path` and renames it to `path` at the end, replacing any existing file.

    The temporary name is unique, so two processes may write the same file. If writing fails, the temporary file is
    deleted and the existing file is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            yield file
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_files(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Gives a temporary path for each file of one folder. At the end they are renamed; after an error none is."""
    with TemporaryDirectory(prefix=".", dir=paths[0].parent) as folder:
        temporary = [Path(folder, path.name) for path in paths]
        yield temporary
        for source, path in zip(temporary, paths, strict=True):
            os.replace(source, path)


def write_atomic(path: Path, content: bytes | str) -> None:
    """Writes a file atomically; text is encoded as UTF-8, or as the bytes of a path that is not."""
    with atomic_file(path) as file:
        file.write(content.encode(errors="surrogateescape") if isinstance(content, str) else content)


def write_json(path: Path, content: Any) -> None:
    """Writes an indented JSON file atomically."""
    write_atomic(path, json.dumps(content, indent=2) + "\n")
