"""Values as Hydra's grammar needs them, and commands that can be pasted into a shell."""

import shlex

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import OverrideParseException


def quoted(value: str) -> str:
    """A text in Hydra's quotes: every character stands for itself."""
    quote = Quote.single if '"' in value else Quote.double
    return QuotedString(text=value, quote=quote).with_quotes().replace("${", "\\${")


def bracketed_override(override: str) -> str:
    """An override of several values, `key=a,b`, as that of a list: `'key=[a,b]'`, as typed in a shell."""
    key, _, values = override.partition("=")
    return shlex.quote(f"{key}=[{values}]")


def quoted_override(override: str) -> str | None:
    """A refused override with its value in quotes, as typed in a shell; None if quotes do not help.

    In a list each entry is quoted: `'ckpt=["lr=0.1/a.ckpt","b.ckpt"]'`.
    """
    key, is_assignment, value = override.partition("=")
    if not is_assignment or value[:1] in ("{", '"', "'"):
        return None
    if value.startswith("["):
        if not value.endswith("]"):
            return None
        entries = [entry.strip().strip("'\"") for entry in value[1:-1].split(",")]
        fitting = f"{key}=[{','.join(map(quoted, entries))}]"
    else:
        fitting = f"{key}={quoted(value)}"
    try:
        OverridesParser.create().parse_override(fitting)
    except OverrideParseException:  # the key itself is wrong
        return None
    return shlex.quote(fitting)
