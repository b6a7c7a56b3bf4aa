"""The training run that a file comes from, and what its folder says."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from gan.config.targets import locate, targets
from gan.newest_run import OVERRIDES, run_arguments


def run_folder(path: Path) -> Path | None:
    """The folder of the run that wrote a checkpoint or a network's file; None for a file without such a folder."""
    folder = path.parent.parent if path.parent.name == "checkpoints" else path.parent
    try:
        config: Any = OmegaConf.load(folder / "config.yaml")
    except (OSError, YAMLError):
        return None
    return folder if OmegaConf.is_dict(config) and OmegaConf.is_dict(config.get("data")) else None


def training_command(run: Path) -> str | None:
    """The `gan train` command that started a run; None for a run that the command line did not start."""
    return shlex.join(["gan", "train", *run_arguments(run)]) if (run / OVERRIDES).is_file() else None


def run_data(run: Path, trust: Sequence[str] = ()) -> DictConfig:
    """The data settings of a run, its folder of data as an absolute path.

    Raises:
        UserError: they name a class that is neither this project's nor of a trusted package. Nothing was executed.
    """
    saved: Any = OmegaConf.to_container(OmegaConf.load(run / "config.yaml"))
    data = saved["data"]
    for key, target in targets(data, "data"):
        locate(target, f"{run / 'config.yaml'}: {key}", ["gan.data"], trust)
    hydra = run / ".hydra" / "hydra.yaml"
    if hydra.is_file() and not str(data.get("dir", "~")).startswith("~"):
        started_in = Path(OmegaConf.load(hydra).hydra.runtime.cwd)
        data["dir"] = str(started_in / data["dir"]) if started_in.is_dir() else data["dir"]
    return OmegaConf.create(data)
