"""What a training run was started with: its flags and overrides. Imports neither torch nor Lightning."""

import shlex
from collections.abc import Set
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from gan.config.compose import CONFIG_DIR
from gan.config.overrides import ckpt_path_of, dotted_key, is_of_sweep, key_of
from gan.runs.records import read_yaml

OVERRIDES = Path(".hydra", "overrides.yaml")
# Hydra's settings that belong to a folder; the run that resumes has its own.
NOT_TAKEN = ("hydra.run.", "hydra.mode.", "hydra.output_subdir.")


def training_command(run: Path) -> str | None:
    """The `gan train` command that started a run; None for a run that the command line did not start."""
    if not (run / OVERRIDES).is_file():
        return None
    arguments = [text for text in run_arguments(run) if ckpt_path_of(text) != "auto"]  # that is its own folder
    return shlex.join(["gan", "train", *arguments])


def run_arguments(run: Path, leave_out: Set[str] = frozenset()) -> list[str]:
    """The flags and overrides that a run was started with: where its configs are, then Hydra's settings, then its own.

    Args:
        leave_out: keys whose overrides are not wanted.
    """
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


def saved_hydra(run: Path) -> dict[str, Any]:
    """Hydra's own settings of a run, ${...} unresolved; empty if their file is missing or damaged."""
    saved = read_yaml(run / ".hydra" / "hydra.yaml")
    hydra = saved.get("hydra") if isinstance(saved, dict) else None
    return hydra if isinstance(hydra, dict) else {}
