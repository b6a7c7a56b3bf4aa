"""Where the configs are, how Python code composes one, and the error text for a wrong one."""

import difflib
import math
import os
import pydoc
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import hydra.utils
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobRuntime
from hydra.errors import HydraException, InstantiationException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from hydra.version import VersionBase
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from gan.config.quoting import bracketed_override, quoted, quoted_override
from gan.errors import UserError

PACKAGED = Path(__file__).parents[1] / "conf"
CONFIG_DIR = PACKAGED if PACKAGED.is_dir() else Path(__file__).parents[2] / "conf"


def share(part: float, whole: int | None, otherwise: int | None) -> int | None:
    """In a config, `${share:0.025,${max_images},5000}` is 2.5 % of the run's images, or 5000 if it has no budget."""
    return otherwise if whole is None else round(part * whole)


def epoch_length(images: int, budget: int | None, batch_size: int) -> int:
    """In a config, `${epoch_length:48000,${max_images},32}` splits the budget into epochs of 48,000 images or more.

    All have the same number of whole batches, but the last one ends with the budget. Without a budget, or with a
    smaller one, an epoch has 48,000 images.
    """
    if budget is None or budget < images:
        return images
    return math.ceil(math.ceil(budget / batch_size) / (budget // images)) * batch_size


def when(condition: bool, value: Any, otherwise: Any) -> Any:
    """In a config, `${when:${model.one_stage},0.1,0.0}` is 0.1 if the condition is true, else 0.0."""
    return value if condition else otherwise


def extractor_name(chosen: str | DictConfig) -> str:
    """`${extractor_name:${metrics.extractor}}` in a config: the name that ends its metrics' names, `val/fid_mnist`."""
    return chosen if isinstance(chosen, str) else getattr(pydoc.locate(chosen._target_), "name", chosen._target_)


def classifier_of(source: str | None) -> str:
    """`${classifier_of:gan.data.KMNIST}` in a config: the extractor that knows the classes of a source of images."""
    return {"gan.data.FashionMNIST": "fashion_mnist", "gan.data.KMNIST": "kmnist"}.get(str(source), "mnist")


SEARCH = "sweep=optuna and --multirun"
KEYS_OF_CHOICES = {"wandb": "logger=wandb", "n_trials": SEARCH, "pruner": SEARCH}

for resolver in (share, epoch_length, when, extractor_name, classifier_of):
    OmegaConf.register_new_resolver(resolver.__name__, resolver, replace=True)


def compose(command: str, overrides: Sequence[str] = (), config_dirs: Sequence[str | Path] = ()) -> DictConfig:
    """The config of a command, as `gan COMMAND [overrides]` would compose it.

    Args:
        command: name of the command, such as "train".
        overrides: in Hydra's grammar, such as ["experiment=quick", "data.batch_size=32"].
        config_dirs: the user's own folders of configs, as for `--config-dir`.
    """
    folders = ",".join(quoted(f"file://{Path(folder).absolute()}") for folder in config_dirs)
    with _own_hydra(), initialize_config_dir(str(CONFIG_DIR), job_name=command, version_base="1.3"):
        return hydra_compose(command, [*overrides, *([f"hydra.searchpath=[{folders}]"] if folders else [])])


@contextmanager
def _own_hydra() -> Iterator[None]:
    """Hydra's state of this process is put aside, and is back at the end: a program may use Hydra itself."""
    before = dict(Singleton._instances)
    for kind in (GlobalHydra, JobRuntime, VersionBase):
        Singleton._instances.pop(kind, None)
    try:
        yield
    finally:
        for kind in (GlobalHydra, JobRuntime, VersionBase):
            Singleton._instances.pop(kind, None)
            if kind in before:
                Singleton._instances[kind] = before[kind]


def instantiate(cfg: DictConfig | Mapping[str, Any], **extra: Any) -> Any:
    """Hydra's `instantiate`; a UserError for a value that is refused, a key too many, or a name that does not exist."""
    try:
        return hydra.utils.instantiate(cfg, **extra)
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from None
        text, _, key = str(error).partition("\nfull_key: ")
        reason = " ".join(str(error.__cause__ or text).split())
        raise UserError(f"{key}: {reason}" if key else reason) from error


def settle_output_dir(cfg: DictConfig, command: str) -> Path:
    """Makes the run's folder absolute and returns it. Without the command line it is a new one under `outputs/`."""
    if not HydraConfig.initialized() and OmegaConf.is_interpolation(cfg, "output_dir"):
        cfg.output_dir = f"outputs/{command}/{datetime.now():%Y-%m-%d_%H-%M-%S-%f}"
    cfg.output_dir = str(Path(os.path.expanduser(cfg.output_dir)).absolute())
    return Path(cfg.output_dir)


def in_multirun() -> bool:
    """Whether this is one job of a sweep."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def explain(error: BaseException) -> str:
    """One line that says what is wrong. For a misspelt key it has the closest names."""
    if isinstance(error, OSError) and error.filename is not None:
        user = f" for the user {os.getuid()}" if isinstance(error, PermissionError) else ""
        return f"{Path(os.fsdecode(error.filename)).absolute()}: {error.strerror}{user}"
    if not isinstance(error, HydraException | OmegaConfBaseException):
        return " ".join(str(error).split())
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if isinstance(cause, ConfigKeyError | AttributeError) and isinstance(cause, OmegaConfBaseException):
        return _unknown_key(cause)
    missing = getattr(error, "missing_cfg_file", None) or ""
    if isinstance(error, MissingConfigException) and "/" in missing:
        group, _, name = missing.rpartition("/")
        there = error.options or sorted(path.stem for path in (CONFIG_DIR / group).glob("*.yaml"))
        return f"{group}={name}: no such config; {', '.join(there)}"
    text = " ".join(str(error).partition("Config search path")[0].split())
    if several := re.match(r"Ambiguous value for argument '(.*)' 1\. To use it as a list", text):
        override = several[1]
        forms = f"for a text: {quoted_override(override)}; for a list: {bracketed_override(override)}"
        return f"{override}: {forms}; for a sweep over the values: gan train --multirun"
    if isinstance(error, OverrideParseException):
        fitting = quoted_override(error.override)
        return f"{error.override}: " + (f"needs quotes: {fitting}" if fitting else f"not an override, {text}")
    return f"{text} {' '.join(str(cause).split())}" if cause is not None and cause is not error else text


def _unknown_key(error: OmegaConfBaseException) -> str:
    from gan.config.trainer_flags import FLAGS, REFUSED

    full_key, key = error.full_key or "", str(error.key)
    where = full_key.rpartition(".")[0]
    if full_key in KEYS_OF_CHOICES:
        return f"{full_key}: only with {KEYS_OF_CHOICES[full_key]}"
    if where == "trainer" and key in FLAGS:
        return f"{full_key}: " + (REFUSED[key].instead if key in REFUSED else f"+{full_key}=... adds it to the config")
    groups = [] if where else [path.name for path in CONFIG_DIR.iterdir() if path.is_dir()]
    names = {*map(str, error.parent_node or {}), *groups} - {"shared", key}
    known = sorted(name for name in names if not name.startswith("_"))
    if close := difflib.get_close_matches(key, known, n=3, cutoff=0.5):
        return f"{full_key}: no such key; did you mean {' or '.join(close)}?"
    return f"{full_key}: no such key; {where or 'the config'} has {' '.join(known)}"
