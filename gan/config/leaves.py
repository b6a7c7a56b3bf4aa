"""The values of a nested config, by their full keys."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def leaves(config: Any, key: str = "", separator: str = ".") -> Iterator[tuple[str, Any]]:
    """Each value of a plain config with its key, such as model.loss._target_; a list of plain values is one value.

    Args:
        config: mappings, lists and values.
        key: of `config` itself.
        separator: between the parts of a key. The entries of a list count from 0.
    """
    entries: Iterable[tuple[Any, Any]]
    if isinstance(config, Mapping):
        entries = config.items()
    elif isinstance(config, list) and any(isinstance(entry, Mapping | list) for entry in config):
        entries = enumerate(config)
    else:
        yield key, config
        return
    for name, value in entries:
        yield from leaves(value, f"{key}{separator}{name}" if key else str(name), separator)
