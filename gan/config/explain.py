"""The one line that says what is wrong with a command."""

import os
import re
import shlex
from pathlib import Path
from typing import Any

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from gan.config.bounds import unknown_key
from gan.config.compose import CONFIG_DIR
from gan.config.early_checks import groups_of, package_line
from gan.config.overrides import quoted_override
from gan.config.targets import leaves
from gan.config.trainer_flags import FLAGS, REFUSED
from gan.errors import joined, one_line


def explain(error: BaseException, command: str = "train") -> str:
    """One line that says what is wrong with a command. For a misspelt key it has the closest names."""
    if isinstance(error, OSError) and error.filename is not None:
        user = f" for the user {os.getuid()}" if isinstance(error, PermissionError) else ""
        return f"{Path(os.fsdecode(error.filename)).absolute()}: {error.strerror}{user}"
    if not isinstance(error, HydraException | OmegaConfBaseException):
        return joined(error)
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if isinstance(cause, ConfigKeyError | ConfigAttributeError):
        return _unknown_key(cause, command)
    if isinstance(error, MissingConfigException) and "/" in (missing := error.missing_cfg_file or ""):
        group, _, name = missing.rpartition("/")
        there = error.options or sorted(path.stem for path in (CONFIG_DIR / group).glob("*.yaml"))
        return f"{group}={name}: no such config; {', '.join(there)}"
    text = joined(str(error).partition("Config search path")[0])
    if isinstance(error, OmegaConfBaseException) and error.full_key:  # such as ${sed} where there is no key sed
        return f"{error.full_key}: {text.partition(' full_key: ')[0]}"
    if several := re.match(r"Ambiguous value for argument '(.*)' 1\. To use it as a list", text):
        key, _, values = several[1].partition("=")
        forms = f"for a text: {quoted_override(several[1])}; for a list: {shlex.quote(f'{key}=[{values}]')}"
        sweep = "; for a sweep over the values: gan train --multirun" if command == "train" else ""
        return f"{several[1]}: {forms}{sweep}"
    if again := re.fullmatch(r"Multiple values for (\S+)\. To override a value use 'override (\S+): (\S+)'", text):
        group, choice = again[1], f"{again[2]}={again[3]}"
        return f"{choice}: {group} is chosen already; no + before it, or `override /{again[2]}: {again[3]}` in defaults"
    if wrong := re.match(r"In 'experiment/(\S+)': Could not override '\w+@experiment\.", text):
        return f"experiment={wrong[1]}: its first line must be `{package_line('experiment')}`"
    if isinstance(error, OverrideParseException):
        if isinstance(error.__cause__, TypeError | ValueError):  # of a function of Hydra's, such as choice(...)
            return f"{error.override}: {one_line(error.__cause__)}"
        if fitting := quoted_override(error.override):
            return f"{error.override}: needs quotes: {fitting}"
        if "=" not in error.override:
            return f"{error.override}: settings are KEY=VALUE; gan {command} --help lists the keys"
        return f"{error.override}: not KEY=VALUE in Hydra's grammar, {text.partition(' See https')[0]}"
    return f"{text} {joined(cause)}" if cause is not None and cause is not error else text


def _unknown_key(error: OmegaConfBaseException, command: str) -> str:
    full_key, key = error.full_key or "", str(error.key)
    where = full_key.rpartition(".")[0]
    if where == "trainer" and key in FLAGS:
        return f"{full_key}: " + (REFUSED[key].instead if key in REFUSED else f"+{full_key}=... adds it to the config")
    if key in groups_of(command) and not where:  # loss.label_smoothing for model.loss.label_smoothing, or loss={...}
        return f"{key}: no such key; {key}=NAME chooses a config, whose keys gan {command} --help {key} lists"
    names = {str(name) for name in error.parent_node or {} if not str(name).startswith("_")} - {key}
    if where:
        return unknown_key(full_key, names, where)
    every: Any = OmegaConf.to_container(error.parent_node or OmegaConf.create())
    deeper = [full for full, _ in leaves(every) if f"_{full.rpartition('.')[2]}".endswith(f"_{key}")]
    elsewhere = [full for full in deeper if not full.startswith("hydra.")]  # trainer.max_epochs for epochs
    return unknown_key(full_key, {*names, *groups_of(command)} - {"hydra", "output_dir"}, f"gan {command}", elsewhere)
