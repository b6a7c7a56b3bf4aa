"""What is refused as soon as a config is composed: without data, without networks, without torch."""

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gan.config.bounds import BOUNDS, unknown_key
from gan.config.compose import CONFIG_DIR, in_multirun
from gan.config.overrides import path_text
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
BUILT = {"train": ("data", "model"), "evaluate": ("data",)}  # config groups whose `_target_` a command builds
MISSING = object()
PACKAGED_ELSEWHERE = {"defaults", "hydra", "experiment", "sweep", "launcher", "loss", "hardware"}
WORDS = ("last", "best", "auto", "pretrained")  # what a key for a checkpoint takes instead of a file


def check(command: str, cfg: DictConfig, whole: DictConfig | None = None) -> None:
    """Raises a UserError for a wrong value or key, and expands "~" in paths.

    `whole` is the config with Hydra's own settings: a key that one of these reads by interpolation is no mistake.
    """
    _check_keys(command, cfg, cfg if whole is None else whole)
    for group in BUILT.get(command, ()):
        part = cfg.get(group)
        if isinstance(part, str):
            hint = f"`- override /{group}: {part}` in the defaults of a config chooses it"
            raise UserError(f"{group}={part}: a text and not a config; {hint}")
        if not (OmegaConf.is_dict(part) and "_target_" in part):
            others = "/".join(sorted(path.stem for path in (CONFIG_DIR / group).glob("*.yaml")))
            raise UserError(f"{group}: has no _target_; a config of your own has one of {others} in its defaults")
    check_bounds(command, cfg)
    if command == "train":
        check_trainer(cfg)
    extractor, weights = (OmegaConf.select(cfg, f"metrics.{key}") for key in ("extractor", "inception_weights"))
    if weights is not None and isinstance(extractor, str) and extractor != "inception":
        raise UserError(f"metrics.inception_weights={weights}: only with metrics.extractor=inception")
    resumes = cfg.get("ckpt_path") is not None  # and does not read `init_from` then
    for key in ("ckpt", "ckpt_path", "init_from"):
        if key in cfg and command != "serve" and not (resumes and key == "init_from"):
            for named in cfg[key] if OmegaConf.is_list(cfg[key]) else [cfg[key]]:
                if named is not None and named not in WORDS:
                    require_file(key, str(named), Path(str(named)).absolute())


def require_file(key: str, named: str, path: Path) -> None:
    """Raises a UserError unless there is such a checkpoint; in the folder of a run it names the newest one."""
    if path.is_file():
        return
    inside = [file for place in ("checkpoints/last.ckpt", "last.ckpt") if (file := path / place).is_file()]
    if inside:
        taken = shlex.quote(f"{key}={path_text(inside[0])}")
        raise UserError(f"{key}={named}: a folder; {taken} takes its newest checkpoint")
    raise UserError(f"{key}={named}: {'a folder, not a file' if path.is_dir() else f'there is no file {path}'}")


def check_bounds(command: str, cfg: DictConfig) -> None:
    """Expands "~" in paths, and raises a UserError for the first value that is out of its bounds."""
    expand_home(cfg)
    for key, allowed in BOUNDS.get(command, {}).items():
        if (value := OmegaConf.select(cfg, key, default=MISSING)) is not MISSING:
            allowed.require(key, value)


def expand_home(cfg: DictConfig) -> None:
    """Replaces a "~" at the start of a path by the user's home, as a shell does it for an unquoted one."""
    for key in PATHS:
        value = OmegaConf.select(cfg, key)
        if isinstance(value, str) and value.startswith("~"):
            OmegaConf.update(cfg, key, str(expanded(key, value)))
        elif OmegaConf.is_list(value):
            home = [str(expanded(key, one)) if isinstance(one, str) and one[:1] == "~" else one for one in value]
            OmegaConf.update(cfg, key, home)


def expanded(key: str, path: str) -> Path:
    """A path with the home folder for a "~" at its start; a UserError for an empty one, or if there is no such user."""
    if not path.strip():
        raise UserError(f"{key}={path}: an empty path; . is the folder that you are in")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(f"{key}={path}: there is no home folder {Path(path).parts[0]}") from error


def refuse_other_folders(hydra: DictConfig, command: str = "train") -> None:
    """Raises a UserError for settings of Hydra's with which a run, or one that resumes it, would not find its files."""
    if hydra.job.chdir:
        raise UserError("hydra.job.chdir=true: a run stays in the folder where it was started")
    if hydra.output_subdir != ".hydra" and (command == "train" or hydra.output_subdir is not None):
        raise UserError(f"hydra.output_subdir={hydra.output_subdir}: a run is resumed with the settings in .hydra")


def _check_keys(command: str, cfg: DictConfig, whole: DictConfig) -> None:
    """Refuses a top-level key that is not the command's, unless another setting reads it by interpolation."""
    known = {"output_dir", *primary_config(command), *groups_of(command)} - PACKAGED_ELSEWHERE
    known |= {"n_trials", "pruner"} if in_multirun() and whole is cfg else set()  # a job's
    needed = {str(key) for key in primary_config(command)} - PACKAGED_ELSEWHERE - {"sweep_name"}  # read by a sweep
    if missing := sorted(key for key in needed if key not in cfg):
        owned = f"a config of your own has it with {command} in its defaults"
        raise UserError(f"{missing[0]}: gan {command} needs this key; leave ~{missing[0]} out; {owned}")
    unread = [str(key) for key in cfg if key not in known]
    text = OmegaConf.to_yaml(whole) if unread else ""
    for key in unread:
        if re.search(rf"\$\{{(oc\.select:)?{re.escape(key)}\b", text):
            continue
        if key in PACKAGED_ELSEWHERE and (CONFIG_DIR / key).is_dir():
            line = package_line(key)
            mine = f"a config of the group {key} needs the first line `{line}`, and {key}=NAME chooses it"
            raise UserError(f"{key}: no such key; {mine}")
        raise UserError(unknown_key(key, known, f"gan {command}"))
    primary: Any = OmegaConf.to_container(primary_config(command))  # no constructor refuses other keys in its mappings
    if command == "train":
        primary["wandb"] = OmegaConf.to_container(primary_config("logger/wandb").wandb)
    for key, names in primary.items():
        if key == "hydra" or key not in cfg or not isinstance(names, dict):
            continue
        if not OmegaConf.is_dict(cfg[key]):
            raise UserError(f"{key}={cfg[key]}: it has {' '.join(sorted(names))}")
        if wrong := cfg[key].keys() - names.keys():
            raise UserError(unknown_key(f"{key}.{min(wrong)}", names, key))


@cache
def package_line(group: str) -> str:
    """The first line of each config of a group whose keys belong elsewhere."""
    lines = [path.read_text(encoding="utf-8").partition("\n")[0] for path in (CONFIG_DIR / group).glob("*.yaml")]
    return next(line for line in lines if line.startswith("# @package"))


@cache
def primary_config(command: str) -> Any:
    """A command's own file, or another one by its path."""
    return OmegaConf.load(CONFIG_DIR / f"{command}.yaml")


def groups_of(command: str) -> list[str]:
    """The config groups that a command chooses from."""
    return sorted(name for entry in primary_config(command).defaults if OmegaConf.is_dict(entry) for name in entry)
