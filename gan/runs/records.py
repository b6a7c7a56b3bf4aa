"""What runs have written about themselves, as far as it can be read: a kill or a hand may have damaged it."""

import json
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one if it cannot be read, is damaged or holds something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def read_yaml(path: Path) -> Any:
    """The list or mapping in a YAML file, ${...} unresolved; None if it cannot be read, is damaged or holds neither."""
    try:
        return OmegaConf.to_container(OmegaConf.load(path))
    except (OSError, ValueError, YAMLError, OmegaConfBaseException):
        return None
