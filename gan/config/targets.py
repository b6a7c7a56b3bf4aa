"""Builds what a config or a checkpoint names as a `_target_`, if it is permitted."""

import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from gan.config.bounds import require_part
from gan.errors import UserError, one_line


def locate(path: str, key: str, packages: Sequence[str], trust: Sequence[str]) -> Callable:
    """The class or function at a dotted path if it is defined in one of these packages or of the trusted ones."""
    allowed = [*packages, *trust]

    def under(name: str) -> bool:
        return any(name == package or name.startswith(f"{package}.") for package in allowed)

    if not isinstance(path, str) or not under(path):
        raise UserError(
            f"{key}._target_={path}: only what is under {', '.join(allowed)} is built; trust=[package] allows more"
        )
    module_name, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module_name), name, None)
    except (ImportError, ValueError) as error:  # the latter for a name without a module
        raise UserError(f"{key}._target_={path}: {error}") from error
    if not callable(found) or not under(getattr(found, "__module__", None) or ""):
        raise UserError(f"{key}._target_={path}: not there; {packages[0]} has {', '.join(_public(packages[0]))}")
    return found


def build(
    spec: Mapping[str, Any], key: str, packages: Sequence[str], trust: Sequence[str], *inputs: Any, **extra: Any
) -> Any:
    """Calls what `spec["_target_"]` names with `inputs`, the rest of `spec` and `extra`; a UserError if that fails."""
    require_part(key, spec)
    target = locate(spec["_target_"], key, packages, trust)
    given = {name: value for name, value in spec.items() if name != "_target_"}
    require_arguments(target, key, given, *inputs, **extra)
    try:
        return target(*inputs, **{**given, **extra})
    except UserError:
        raise
    except Exception as error:  # a wrong value can make a constructor raise any exception
        raise UserError(f"{key}: {one_line(error)}; it was given {given}") from error


def require_arguments(target: Callable, key: str, given: Mapping[str, Any], *inputs: Any, **extra: Any) -> None:
    """Raises a UserError unless `target` takes `inputs`, the entries of a config `given`, and `extra`."""
    signature = inspect.signature(target)
    try:
        signature.bind(*inputs, **{**given, **extra})
    except TypeError as error:
        known = signature.parameters
        name = f"{target.__module__}.{target.__qualname__}"
        unknown = [entry for entry in given if entry not in known]
        removals = [f"'~{key}.{entry}'" for entry in unknown]
        if any(given[entry] is None for entry in unknown):  # Hydra does not remove a null
            removals = [f"'~{key}' '+{key}={{_target_: {name}, ...}}'"]
        hint = f"; without it: {' '.join(removals)}" if removals else ""
        raise UserError(f"{key}: {error}; {name} takes {', '.join(known)}{hint}") from error


def source_target(data: Mapping[str, Any]) -> str:
    """The `_target_` of the source in settings of data; that of a data module of one's own without one."""
    return (data.get("source") or data)["_target_"]


def packages_of(config: Any) -> list[str]:
    """The top-level package of each `_target_` in a plain config."""
    return sorted({str(target).partition(".")[0] for _, target in targets(config)})


def targets(config: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Each `_target_` in a plain config, after the key of what it builds; `key` is that of `config`."""
    for full, value in leaves(config, key):
        part, _, name = full.rpartition(".")
        if name == "_target_":
            yield part, value


def leaves(config: Any, key: str = "", separator: str = ".") -> Iterator[tuple[str, Any]]:
    """Each value of a plain config with its key, such as model.loss._target_; a list of plain values is one value."""
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


def _public(package: str) -> list[str]:
    found = inspect.getmembers(importlib.import_module(package), callable)
    return [name for name, value in found if name[0] != "_" and getattr(value, "__module__", "").startswith(package)]
