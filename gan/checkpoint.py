"""Reading checkpoints: which file is meant, and whether it is one of ours."""

import pickle
from pathlib import Path
from typing import Any

import torch

from gan.errors import UserError

PARTS = ("state_dict", "hyper_parameters", "images_seen", "epoch")


def newest_run(root: Path = Path("outputs/train")) -> Path:
    """The folder of the newest training run that left a checkpoint.

    Raises:
        UserError: there is none.
    """
    checkpoints = sorted(root.glob("*/checkpoints/last.ckpt"), key=lambda path: path.stat().st_mtime)
    if not checkpoints:
        raise UserError(f"no run with a checkpoint under {root.absolute()}; `gan train` makes one")
    return checkpoints[-1].parent.parent.absolute()


def checkpoint_path(ckpt: str, key: str) -> Path:
    """The file that a user means by `last`, `best` (of the newest run), or a path.

    Raises:
        UserError: there is no such file.
    """
    path = newest_run() / "checkpoints" / f"{ckpt}.ckpt" if ckpt in ("last", "best") else Path(ckpt).absolute()
    if not path.is_file():
        raise UserError(f"{key}={ckpt}: there is no file {path}")
    return path


def read_checkpoint(path: Path, key: str) -> dict[str, Any]:
    """A checkpoint on the CPU; nothing in it is executed.

    Raises:
        UserError: it is damaged, not a checkpoint of this project, or holds more than plain values.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(f"{key}={path}: refused, it holds more than weights and plain values") from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{key}={path}: not a readable checkpoint ({(str(error) or type(error).__name__).splitlines()[0]})"
        ) from error
    if (
        not isinstance(checkpoint, dict)
        or any(part not in checkpoint for part in PARTS)
        or not isinstance(checkpoint["hyper_parameters"].get("generator"), dict)
    ):
        raise UserError(f"{key}={path}: not a checkpoint of this project; it needs {', '.join(PARTS)}")
    return checkpoint
