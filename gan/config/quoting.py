"""Values as Hydra's grammar needs them, and commands that can be pasted into a shell."""

import shlex
from collections.abc import Sequence

from hydra.core.override_parser.types import Quote, QuotedString


def quoted(value: str) -> str:
    """A text in Hydra's quotes: every character stands for itself."""
    quote = Quote.single if '"' in value else Quote.double
    return QuotedString(text=value, quote=quote).with_quotes().replace("${", "\\${")


def pasteable(words: Sequence[str]) -> str:
    """A command as one line for a shell. An override that needs no quotes has none."""
    return shlex.join(words)
