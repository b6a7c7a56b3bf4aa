"""Files that can be done without: one that cannot be written costs a warning, one that cannot be read has nothing."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gan.errors import one_line

log = logging.getLogger("gan")


class OptionalFiles:
    """Warns of what cannot be written, once for each folder.

    `expected` are the errors that count as that; any other is a mistake in the code, and is raised.
    """

    def __init__(self, expected: type[Exception] = Exception) -> None:
        self.expected = expected
        self._warned: set[Path] = set()

    @contextmanager
    def writing(self, path: Path) -> Iterator[Path]:
        """Gives the path back. An error while its file is made becomes a warning that names it."""
        try:
            yield path
        except Exception as error:  # a user's network or data can make any picture fail
            cause = error.__cause__ if isinstance(error.__cause__, OSError) else error  # Lightning hides it
            if not isinstance(cause, self.expected):
                raise
            if path.parent not in self._warned:
                self._warned.add(path.parent)
                reason = getattr(cause, "strerror", None) or one_line(cause)
                log.warning("%s: not written (%s); the run continues without it", path, reason)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one if it cannot be read, is damaged or holds something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
