"""What runs write about themselves, read as far as it can be: a kill or a hand may have damaged it."""

import math
import shlex
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from gan.config.compose import CONFIG_DIR
from gan.config.overrides import ckpt_path_of, dotted_key, is_of_sweep, key_of
from gan.config.targets import locate, targets

OVERRIDES = Path(".hydra", "overrides.yaml")
# Hydra's settings that belong to a folder; the run that resumes has its own.
NOT_TAKEN = ("hydra.run.", "hydra.mode.", "hydra.output_subdir.")


def finite(metrics: dict[str, Any]) -> dict[str, float | None]:
    """Metrics for a JSON file: a value that is not finite becomes null."""
    numbers = {name: float(value) for name, value in metrics.items()}
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}


def read_yaml(path: Path) -> Any:
    """The list or mapping in a YAML file, ${...} unresolved; None if it cannot be read, is damaged or holds neither."""
    try:
        return OmegaConf.to_container(OmegaConf.load(path))
    except (OSError, ValueError, YAMLError, OmegaConfBaseException):
        return None


def saved_hydra(run: Path) -> dict[str, Any]:
    """Hydra's own settings of a run, ${...} unresolved; empty if their file is missing or damaged."""
    saved = read_yaml(run / ".hydra" / "hydra.yaml")
    hydra = saved.get("hydra") if isinstance(saved, dict) else None
    return hydra if isinstance(hydra, dict) else {}


def training_command(run: Path) -> str | None:
    """The `gan train` command that started a run; None for a run that the command line did not start."""
    if not (run / OVERRIDES).is_file():
        return None
    arguments = [text for text in run_arguments(run) if ckpt_path_of(text) != "auto"]  # that is its own folder
    return shlex.join(["gan", "train", *arguments])


def run_arguments(run: Path, leave_out: Set[str] = frozenset()) -> list[str]:
    """What a run was started with but the keys in `leave_out`: where its configs are, Hydra's settings, its own."""
    if not (run / OVERRIDES).is_file():
        return ["--config-path", str(run), "--config-name", "config"]
    hydra = saved_hydra(run)
    sources = {source["provider"]: source["path"] for source in hydra.get("runtime", {}).get("config_sources", [])}
    flags = ["--config-dir", sources["command-line"]] if "command-line" in sources else []
    if Path(sources.get("main", CONFIG_DIR)) != CONFIG_DIR and Path(sources["main"]).is_dir():
        flags += ["--config-path", sources["main"]]
    name = hydra.get("job", {}).get("config_name") or "train"
    if name != "train":
        flags += ["--config-name", name]
    given = hydra.get("overrides", {}).get("hydra", [])
    settings = [text for text in given if not f"{dotted_key(text)}.".startswith(NOT_TAKEN)]
    overrides: Any = OmegaConf.to_container(OmegaConf.load(run / OVERRIDES))  # ${...} stays unresolved
    own = [text for text in [*settings, *overrides] if not is_of_sweep(text)]
    return [*flags, *(text for text in own if key_of(text) not in leave_out)]


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
    """The data settings in a run's `config.yaml`; empty where that file is missing, or is no run's."""
    config = read_yaml(folder / "config.yaml")
    data = config.get("data") if isinstance(config, dict) else None
    if not isinstance(data, dict) or not isinstance(data.get("dir"), str | None):
        return {}
    source = data.get("source") or (data.get("dir") is not None and data)
    return data if isinstance(source, dict) and isinstance(source.get("_target_"), str) else {}
