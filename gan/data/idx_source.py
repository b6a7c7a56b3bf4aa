"""A data set in four IDX files, as MNIST has: where they may be, and their download."""

import gzip
import hashlib
import http.client
import logging
import re
import urllib.request
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from torchvision import datasets

from gan.atomic_write import write_atomic
from gan.config.allowed import Number
from gan.data.source import DataNotFoundError, Examples, Source
from gan.errors import UserError, one_line
from gan.idx_files import ALL_NAMES, NAMES, files_in, parse, present, read_bytes, read_split, standard_name

MNIST_LABELS_MD5 = "a25bea736e30d166cdddb491f175f624"
LOOKS_LIKE_DATA = re.compile(r"mnist|ubyte|\bidx|t10k|\.(npz|npy|parquet|csv|pkl|pt|mat|zip|tar|gz)$", re.IGNORECASE)

log = logging.getLogger(__name__)


class IDXFiles(Source):
    """Four IDX files in `dir/<layout>/raw` (torchvision's layout), `dir/raw` or `dir` itself, plain or `.gz`.

    Files that a user puts there may be any valid ones. Downloaded files must have the known checksums.

    Args:
        mirrors: base URLs, tried in this order; None: those of `published`.
        timeout: seconds to wait for a mirror's answer before the next one is tried.

    Attributes:
        num_labels: labels in the files are 0..num_labels-1.
        published: torchvision's class of these files: its name is `layout`, and it has the mirrors and checksums.
    """

    num_classes: int = 10
    num_labels: int = 10
    published: type[datasets.MNIST]

    def __init__(self, mirrors: Sequence[str] | None = None, timeout: float = 15) -> None:
        are_texts = isinstance(mirrors, Sequence | None) and all(isinstance(mirror, str) for mirror in mirrors or ())
        if isinstance(mirrors, str) or not are_texts:
            raise UserError(f"data.source.mirrors={mirrors}: a list of base addresses, or null")
        Number(above=0).require("data.source.timeout", timeout)
        self.layout = self.published.__name__
        self.mirrors, self.timeout = self.published.mirrors if mirrors is None else mirrors, timeout

    def prepare(self) -> None:
        if self.download and self._find() is None:
            self._download_missing()
        self._paths()

    def train(self) -> Examples:
        return self._read("train")

    def test(self) -> Examples:
        return self._read("test")

    def _read(self, split: Literal["train", "test"]) -> Examples:
        paths = self._paths()
        images, labels = NAMES[split]
        return read_split(paths[images], paths[labels], self.num_labels)

    def _paths(self) -> dict[str, Path]:
        paths = self._find()
        if paths is None:
            raise self._not_found("nothing was downloaded" if self.download else "data.download=false")
        return paths

    def _find(self) -> dict[str, Path] | None:
        for folder in self._folders():
            paths = present(folder)
            if len(paths) == len(ALL_NAMES):
                # The files of both data sets have the same names: MNIST in `dir` must not be taken for another one.
                own = folder.parent.name.lower() == self.layout.lower() or self.published is datasets.MNIST
                labels = read_bytes(paths["train-labels-idx1-ubyte"])
                md5 = hashlib.md5(labels, usedforsecurity=False).hexdigest()
                return paths if own or md5 != MNIST_LABELS_MD5 else None
        return None

    def _incomplete(self) -> list[tuple[Path, Sequence[str]]]:
        """The folders that have some of the four files, and the names that are missing there."""
        places = [(folder, [name for name in ALL_NAMES if name not in present(folder)]) for folder in self._folders()]
        return [(folder, missing) for folder, missing in places if 0 < len(missing) < len(ALL_NAMES)]

    def _folders(self) -> list[Path]:
        by_layout = [self.dir / name / "raw" for name in (self.layout, self.layout.lower())]
        return [*by_layout, self.dir / "raw", self.dir]

    def _download_missing(self) -> None:
        """Completes what an earlier download has left; a UserError where a user's own files are there."""
        if any(standard_name(path) not in ALL_NAMES for path in self._others()):
            raise self._not_found("nothing is downloaded beside other data")
        folder = self._folders()[0]
        there = present(folder)
        for other, missing in self._incomplete():  # a user's own are neither mixed with downloads nor passed over
            if not (folder.exists() and other.samefile(folder)):
                raise UserError(
                    f"data.dir={self.dir}: {', '.join(missing)} are missing beside the files in {other}; add them, "
                    f"or name a folder with none of the four to download {self.layout} into it"
                )
        try:
            for packed, md5 in self.published.resources:
                name = packed.removesuffix(".gz")
                if name not in there:
                    content = self._download(packed, md5)
                    folder.mkdir(parents=True, exist_ok=True)
                    write_atomic(folder / name, content)
        except OSError as error:
            raise UserError(f"data.dir: can't write {folder.absolute()} ({error.strerror})") from error

    def _download(self, name: str, md5: str) -> bytes:
        """A file, decompressed, from the first mirror that has it with the right checksum."""
        failures = []
        for mirror in self.mirrors:
            url = f"{mirror.rstrip('/')}/{name}"
            log.info("Downloading %s", url)
            try:
                request = urllib.request.Request(url, headers={"User-Agent": "mnist-gan"})
                with urllib.request.urlopen(request, timeout=self.timeout) as response:
                    packed = response.read()
                if hashlib.md5(packed, usedforsecurity=False).hexdigest() != md5:
                    raise ValueError("wrong MD5 checksum")
                content = gzip.decompress(packed)
                parse(content, url)
                return content
            except (OSError, http.client.HTTPException, EOFError, zlib.error, ValueError) as error:
                failures.append(f"{url}: {one_line(error)}")
                log.warning("Mirror failed: %s", failures[-1])
        raise self._not_found(f"the download failed ({'; '.join(failures) or 'no mirrors given'})")

    def _not_found(self, reason: str) -> UserError:
        others = sorted(path.name for path in self._others())
        but = f" (but {', '.join(others[:8])})" if others else ""
        kind = UserError if others else DataNotFoundError  # files of another form are a mistake; no files may be meant
        folder, missing = next(iter(self._incomplete()), (self.dir / self.layout / "raw", ALL_NAMES))
        return kind(
            f"data.dir={self.dir}: no {self.layout} files there{but}, and {reason}; put {', '.join(missing)}, "
            f"plain or .gz, into {folder.absolute()}, or use data=digits (no files)"
        )

    def _others(self) -> list[Path]:
        """Files that look like data, but for those of the four that a download has left in a folder `raw`."""
        found = [path for folder in self._folders() for path in files_in(folder) if LOOKS_LIKE_DATA.search(path.name)]
        return [path for path in found if path.parent.name != "raw" or standard_name(path) not in ALL_NAMES]
