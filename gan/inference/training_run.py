"""The training run that a file comes from, and what its folder says."""

import shlex
from pathlib import Path

from omegaconf import OmegaConf


def run_folder(path: Path) -> Path | None:
    """The folder of the run that wrote a checkpoint or a network's file; None for a file without such a folder."""
    folder = path.parent.parent if path.parent.name == "checkpoints" else path.parent
    return folder if (folder / "config.yaml").is_file() else None


def training_command(run: Path) -> str | None:
    """The `gan train` command that started a run; None for a run that the command line did not start."""
    from gan.train.resume import config_dir_flags

    overrides = run / ".hydra" / "overrides.yaml"
    if not overrides.is_file():
        return None
    flags = config_dir_flags(run) if (run / ".hydra" / "hydra.yaml").is_file() else []
    return shlex.join(["gan", "train", *flags, *OmegaConf.to_container(OmegaConf.load(overrides))])
