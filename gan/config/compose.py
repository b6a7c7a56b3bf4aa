"""Where the configs are, how Python composes and builds one, and errors of Hydra's that become a UserError."""

import math
import os
import pydoc
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import RLock
from typing import Any

import hydra.utils
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobRuntime
from hydra.errors import InstantiationException
from hydra.types import RunMode
from hydra.version import VersionBase
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gan.config.overrides import key_of, quoted
from gan.errors import UserError, joined, one_line
from gan.published_data import CLASSIFIERS, PUBLISHED_DATA

PACKAGED = Path(__file__).parents[1] / "conf"
COMPOSING = RLock()  # Hydra's state is the process's
CONFIG_DIR = PACKAGED if PACKAGED.is_dir() else Path(__file__).parents[2] / "conf"


def share(part: float, whole: int | None, otherwise: int | None) -> int | None:
    """In a config, `${share:0.025,${max_images},5000}` is 2.5 % of the run's images, or 5000 if it has no budget."""
    return otherwise if whole is None else round(part * whole)


def epoch_length(images: int, budget: int | None, batch_size: int) -> int:
    """In a config, `${epoch_length:48000,${max_images},32}` splits a budget into equal epochs of 48,000 or more."""
    if budget is None or budget < images:
        return images
    return math.ceil(math.ceil(budget / batch_size) / (budget // images)) * batch_size


def when(condition: bool, value: Any, otherwise: Any) -> Any:
    """In a config, `${when:${model.one_stage},0.1,0.0}` is 0.1 if the condition is true, else 0.0."""
    return value if condition else otherwise


def extractor_name(chosen: str | DictConfig) -> str:
    """`${extractor_name:${metrics.extractor}}` in a config: the name that ends its metrics' names, `val/fid_mnist`."""
    target = chosen.get("_target_") if isinstance(chosen, DictConfig) else None
    return str(chosen if target is None else getattr(pydoc.locate(target), "name", target))


def classifier_of(source: str | None) -> str:
    """`${classifier_of:gan.data.KMNIST}` in a config: the extractor that knows the classes of a source of images."""
    return next((name for name in CLASSIFIERS if PUBLISHED_DATA[name].target == source), "mnist")


for resolver in (share, epoch_length, when, extractor_name, classifier_of):
    OmegaConf.register_new_resolver(resolver.__name__, resolver, replace=True)


def compose(command: str, overrides: Sequence[str] = (), config_dirs: Sequence[str | Path] = ()) -> DictConfig:
    """The config of a command, as `gan COMMAND [overrides]` would compose it.

    Args:
        command: name of the command, such as "train".
        overrides: in Hydra's grammar, such as ["experiment=quick", "data.batch_size=32"].
        config_dirs: the user's own folders of configs, as for `--config-dir`.
    """
    for folder in config_dirs:
        if not Path(folder).is_dir():
            raise UserError(f"config_dirs={folder}: there is no folder {Path(folder).absolute()}")
    folders = ",".join(quoted(f"file://{Path(folder).absolute()}") for folder in config_dirs)
    with COMPOSING, own_hydra(), initialize_config_dir(str(CONFIG_DIR), job_name=command, version_base="1.3"):
        return hydra_compose(command, [*overrides, *([f"hydra.searchpath=[{folders}]"] if folders else [])])


@contextmanager
def own_hydra() -> Iterator[None]:
    """Hydra's state of this process is put aside, and is back at the end: a program may use Hydra itself."""
    kinds: tuple[type, ...] = (GlobalHydra, HydraConfig, JobRuntime, VersionBase)
    instances = Singleton._instances
    before = {kind: instances.pop(kind) for kind in kinds if kind in instances}
    try:
        yield
    finally:
        for kind in kinds:
            instances.pop(kind, None)
        instances.update(before)


@contextmanager
def composing(overrides: Sequence[str]) -> Iterator[None]:
    """Turns errors that name neither the override nor the file into a UserError; Hydra's own errors name it."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "provider=hydra.searchpath")  # of a folder that is not there
            yield
    except (UserError, OmegaConfBaseException):
        raise
    except UserWarning as error:
        raise UserError(f"hydra.searchpath: {str(error).partition('path=')[2]}") from error
    except KeyError as error:
        if error.args[0] == "root":  # of logging's configuration, `~hydra.job_logging.root`
            raise UserError("hydra.job_logging and hydra.hydra_logging: root is missing") from error
        raise UserError(f"hydra.job.env_copy: the environment variable {error.args[0]} is not set") from error
    except UnicodeDecodeError as error:
        folders = [source.path for source in GlobalHydra.instance().config_loader().get_search_path().get_path()]
        files = (file for folder in folders for file in Path(folder.removeprefix("file://")).rglob("*.yaml"))
        wrong = ", ".join(str(file) for file in files if error.object in file.read_bytes())
        raise UserError(f"{wrong}: not UTF-8, {error}") from error
    except (ValueError, TypeError, IndexError) as error:
        if str(error).startswith("Unable to configure"):  # raised by logging.config
            raise UserError(f"hydra.job_logging and hydra.hydra_logging: {error}, {error.__cause__}") from error
        if wrong := " ".join(filter(_is_wrong_choice, overrides)):
            told = "a config group takes the name of one of its configs, or a list of names"
            raise UserError(f"{wrong}: {told}") from error
        named = [text for text in overrides if repr(key_of(text).rpartition(".")[2]) in str(error)]
        raise UserError(": ".join(filter(None, [" ".join(named or overrides), one_line(error)]))) from error


def _is_wrong_choice(override: str) -> bool:
    key = override.partition("=")[0]
    if not (CONFIG_DIR / key).is_dir():
        return False
    value = OmegaConf.from_dotlist([override])[key]
    if OmegaConf.is_dict(value):  # which sets values of the group
        return False
    return not all(isinstance(name, str) for name in (value if isinstance(value, ListConfig) else [value]))


def instantiate(cfg: DictConfig | Mapping[str, Any], **extra: Any) -> Any:
    """Hydra's `instantiate`; a UserError for a value that is refused, a key too many, or a name that does not exist."""
    try:
        return hydra.utils.instantiate(cfg, **extra)
    except (InstantiationException, TypeError) as error:  # a wrong flag of Hydra's own, _recursive_=5
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from None
        text, _, key = str(error).partition("\nfull_key: ")
        reason = joined(error.__cause__ or text)
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
