"""What a single override of Hydra's grammar sets, and values as that grammar needs them."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import OmegaConf

SWEEP_KEYS = ("sweep", "sweep_name", "n_trials", "pruner", "launcher")  # these change nothing in a job


def as_typed(overrides: Sequence[str]) -> list[str]:
    """The overrides as plain text: reading one from the config would resolve a `${...}` in it, relative to the list."""
    texts: Any = OmegaConf.to_container(overrides)
    return texts


def key_of(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def dotted_key(override: str) -> str:
    """The key, that of a group with dots: `hydra.launcher` for `hydra/launcher=joblib`."""
    return key_of(override).replace("/", ".")


def ckpt_path_of(override: str) -> str | None:
    """What an override of `ckpt_path` names, without quotes: `last`, `auto` or a file. None for one of another key."""
    return override.partition("=")[2].strip("'\"") if key_of(override) == "ckpt_path" else None


def is_of_sweep(override: str) -> bool:
    """Whether an override sets up a sweep, and so changes nothing in a single run."""
    key = dotted_key(override)
    return key.partition(".")[0] in SWEEP_KEYS or key.startswith(("hydra.sweep", "hydra.launcher"))


def in_braces(override: str) -> bool:
    """Whether it adds values to a key, as `model={latent_dim: 32}` does to what `model=NAME` chose."""
    return override.partition("=")[2].lstrip().startswith("{")


def replaces(new: str, old: str) -> bool:
    """Whether a new override leaves nothing of an old one that comes before it."""
    if key_of(new) != key_of(old) or not ("=" in old or old.startswith("~")):  # a flag's value has neither
        return False
    whole = not in_braces(new) or "_target_" in new  # other values in braces are added to those before
    return old.startswith("~") or (whole and in_braces(new) == in_braces(old))


def quoted(value: str) -> str:
    """A text in Hydra's quotes: every character stands for itself."""
    quote = Quote.single if '"' in value else Quote.double
    return QuotedString(text=value, quote=quote).with_quotes().replace("${", "\\${")


def path_text(path: Path) -> str:
    """An absolute path as the value of an override, in Hydra's quotes if it needs them."""
    return str(path) if re.fullmatch(r"[\w/.+:@-]+", str(path), re.ASCII) else quoted(str(path))


def quoted_override(override: str) -> str | None:
    """A refused override with its value, or each in its list, in quotes as typed in a shell; None if that fails too."""
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
    except HydraException:  # the key itself is wrong
        return None
    return shlex.quote(fitting)
