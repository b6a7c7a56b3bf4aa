"""Hydra's flags on a command line, such as --multirun and --cfg."""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from hydra._internal.utils import get_args_parser

import gan
from gan.errors import UserError

ALONE = ("run", "multirun", "cfg", "shell_completion", "info")  # a command takes one of these


@contextmanager
def unchecked_help() -> Iterator[None]:
    """Lets Hydra build its parser where Python, from 3.14 on, checks each help: one of them is no text yet."""
    container: Any = argparse._ActionsContainer
    check = vars(container).get("_check_help")
    if check is None:
        yield
        return
    container._check_help = lambda self, action: None
    try:
        yield
    finally:
        container._check_help = check


def parser() -> argparse.ArgumentParser:
    """Hydra's own parser."""
    with unchecked_help():
        return get_args_parser()


def flags_help() -> str:
    """What Hydra says of its flags."""
    described = parser()
    for action in described._actions:
        action.help = str(action.help).replace("%", "%%")
    return described.format_help()


def long_flags() -> list[str]:
    """The flags with two hyphens."""
    names = [name for action in parser()._actions for name in action.option_strings]
    return [name for name in names if name.startswith("--")]


def split_flags(arguments: Sequence[str]) -> tuple[list[str], argparse.Namespace, list[str]]:
    """Hydra's flags with their values, the same as attributes, and the overrides. Flags may stand anywhere."""
    flags_of_hydra = parser()

    def refuse(message: str) -> NoReturn:
        raise UserError(f"{message}; settings are KEY=VALUE, without hyphens, and the flags {', '.join(long_flags())}")

    vars(flags_of_hydra)["error"] = refuse
    flags_of_hydra.allow_abbrev = False  # --experiment=quick would be --experimental-rerun
    for action in flags_of_hydra._actions:
        if "--version" in action.option_strings:
            vars(action)["version"] = f"gan {gan.__version__}"
    options = flags_of_hydra.parse_intermixed_args(list(arguments))
    for name in ("resolve", "package"):
        if getattr(options, name) and not options.cfg:
            raise UserError(f"--{name}: only with --cfg")
    if options.experimental_rerun:
        raise UserError("--experimental-rerun: ckpt_path=last resumes the newest run with its settings")
    chosen = [f"--{name.replace('_', '-')}" for name in ALONE if getattr(options, name)]
    if len(chosen) > 1:
        raise UserError(f"{' '.join(chosen)}: only one of them")
    rest, flags = list(options.overrides), []
    for word in arguments:
        if rest and word == rest[0]:
            rest.pop(0)
        else:
            flags.append(word)
    return flags, options, list(options.overrides)
