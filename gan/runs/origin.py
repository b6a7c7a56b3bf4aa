"""The training run that a file comes from, and what its folder says."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gan.config.targets import locate, targets
from gan.runs.arguments import saved_hydra
from gan.runs.records import read_yaml


def run_folder(path: Path) -> Path | None:
    """The folder of the run that wrote a checkpoint or a network's file; None for a file without such a folder."""
    folder = path.parent.parent if path.parent.name == "checkpoints" else path.parent
    return folder if _saved_data(folder) else None


def run_data(run: Path, trust: Sequence[str] = ()) -> DictConfig:
    """The data settings of a run, its folder of data as an absolute path.

    Raises:
        UserError: they name a class that is neither this project's nor of a trusted package. Nothing was executed.
    """
    data = _saved_data(run)
    for key, target in targets(data, "data"):
        locate(target, f"{run / 'config.yaml'}: {key}", ["gan.data"], trust)
    started_in = (saved_hydra(run).get("runtime") or {}).get("cwd")
    folder = data.get("dir")  # sources without files need none
    if folder and isinstance(started_in, str) and Path(started_in).is_dir() and not folder.startswith("~"):
        data["dir"] = str(Path(started_in, folder))
    return OmegaConf.create(data)


def _saved_data(folder: Path) -> dict[str, Any]:
    """The data settings in a run's `config.yaml`; empty for a folder whose file has none of a run, or that has none."""
    config = read_yaml(folder / "config.yaml")
    data = config.get("data") if isinstance(config, dict) else None
    if not isinstance(data, dict) or not isinstance(data.get("dir"), str | None):
        return {}
    source = data.get("source") or (data.get("dir") is not None and data)
    return data if isinstance(source, dict) and isinstance(source.get("_target_"), str) else {}
