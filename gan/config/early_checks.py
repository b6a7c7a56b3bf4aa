"""What is refused as soon as a config is composed: without data, without networks, without torch."""

import difflib
import re
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gan.config.bounds import BOUNDS
from gan.config.compose import CONFIG_DIR, in_multirun
from gan.config.explain import KEYS_OF_CHOICES
from gan.config.trainer_flags import check_trainer
from gan.errors import UserError

PATHS = (
    "data.dir",
    "ckpt",
    "ckpt_path",
    "init_from",
    "images",
    "labels",
    "output",
    "measures",
    "metrics.inception_weights",
    "jobs_dir",
    "api_keys_file",
    "sweep_name",
)
COMPOSED = {"train": ("data", "model"), "evaluate": ("data",)}  # config groups whose `_target_` a command builds
WORDS = ("last", "best", "auto", "pretrained")  # what a key for a checkpoint takes instead of a file


def check(command: str, cfg: DictConfig, whole: DictConfig | None = None) -> None:
    """Expands "~" in paths, and raises a UserError for the first value that can be seen to be wrong.

    Args:
        command: the command.
        cfg: its config.
        whole: the same with Hydra's settings, which may read further keys.
    """
    expand_home(cfg)
    _check_keys(command, cfg, cfg if whole is None else whole)
    for group in COMPOSED.get(command, ()):
        if not (OmegaConf.is_dict(cfg[group]) and "_target_" in cfg[group]):
            others = "/".join(sorted(path.stem for path in (CONFIG_DIR / group).glob("*.yaml")))
            raise UserError(f"{group}: has no _target_; a config of your own has one of {others} in its defaults")
    check_bounds(command, cfg)
    if command == "train":
        check_trainer(cfg)
    resumes = cfg.get("ckpt_path") is not None  # and does not read `init_from` then
    for key in ("ckpt", "ckpt_path", "init_from"):
        if key in cfg and command != "serve" and not (resumes and key == "init_from"):
            for named in cfg[key] if OmegaConf.is_list(cfg[key]) else [cfg[key]]:
                if named is not None and named not in WORDS and not Path(str(named)).is_file():
                    raise UserError(f"{key}={named}: there is no file {Path(str(named)).absolute()}")


def check_bounds(command: str, cfg: DictConfig) -> None:
    """Raises a UserError for the first value that is out of its bounds."""
    for key, allowed in BOUNDS.get(command, {}).items():
        if (value := _select(cfg, key)) is not MISSING:
            allowed.require(key, value)


def expand_home(cfg: DictConfig) -> None:
    """Replaces a "~" at the start of a path by the user's home, as a shell does it for an unquoted one."""
    for key in PATHS:
        value = _select(cfg, key)
        if isinstance(value, str) and value.startswith("~"):
            OmegaConf.update(cfg, key, str(expanded(key, value)))
        elif OmegaConf.is_list(value):
            home = [str(expanded(key, one)) if isinstance(one, str) and one[:1] == "~" else one for one in value]
            OmegaConf.update(cfg, key, home)


def expanded(key: str, path: str) -> Path:
    """A path with the home folder for a "~" at its start; a UserError if there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(f"{key}={path}: there is no home folder {Path(path).parts[0]}") from error


MISSING = object()


def _select(cfg: DictConfig, key: str) -> Any:
    """The value of a key; MISSING if the config has no such key, or something else stands above it."""
    node: Any = cfg
    for name in key.split("."):
        if not OmegaConf.is_dict(node) or name not in node:
            return MISSING
        node = node[name]
    return node


def _check_keys(command: str, cfg: DictConfig, whole: DictConfig) -> None:
    """Refuses a top-level key that is not the command's, unless another setting reads it by interpolation."""
    known = known_keys(command) | ({"n_trials", "pruner"} if in_multirun() else set())  # read by the search
    unread = [str(key) for key in cfg if key not in known]
    text = OmegaConf.to_yaml(whole) if unread else ""
    for key in unread:
        if not re.search(rf"\$\{{(oc\.select:)?{re.escape(key)}\b", text):
            raise UserError(f"{key}: {_reason(command, key, known)}")
    for key in known & {"metrics"}:
        if not OmegaConf.is_dict(cfg[key]):
            raise UserError(f"{key}={cfg[key]}: it has {' '.join(sorted(known_keys(command, key)))}")
        if wrong := {*cfg[key]} - known_keys(command, key):
            raise UserError(f"{key}.{min(wrong)}: no such key; {key} has {' '.join(sorted(known_keys(command, key)))}")


@cache
def known_keys(command: str, group: str | None = None) -> set[str]:
    """The top-level keys of a command's config as they stand in its file, or those of one of its groups."""
    primary: Any = OmegaConf.load(CONFIG_DIR / f"{command}.yaml")
    if group is not None:
        return set(primary[group])
    groups = {name for entry in primary.defaults if OmegaConf.is_dict(entry) for name in entry}
    return (
        {"output_dir", *primary.keys(), *groups} | ({"model"} if command == "train" else set())
    ) - PACKAGED_ELSEWHERE


PACKAGED_ELSEWHERE = {"defaults", "hydra", "experiment", "sweep", "launcher", "loss", "hardware"}


def _reason(command: str, key: str, known: set[str]) -> str:
    if key in KEYS_OF_CHOICES:
        return f"only with {KEYS_OF_CHOICES[key]}"
    if key in PACKAGED_ELSEWHERE and (CONFIG_DIR / key).is_dir():
        lines = [path.read_text(encoding="utf-8").partition("\n")[0] for path in (CONFIG_DIR / key).glob("*.yaml")]
        line = next(line for line in lines if line.startswith("# @package"))
        return f"no such key; a config of the group {key} needs the first line `{line}`"
    close = difflib.get_close_matches(key, sorted(known), n=3, cutoff=0.6)
    return f"no such key of gan {command}; it has {' '.join(close or sorted(known))}"
