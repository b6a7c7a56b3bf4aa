"""Checkpoint files: which file a user means, whether it is a checkpoint of this project, and how far its run was."""

import logging
import pickle
import warnings
from pathlib import Path
from typing import Any

import torch

from gan.errors import UserError
from gan.train.newest import LAST, newest_run, newest_runs

SHAPE = ("latent_dim", "num_classes", "image_channels")
PARTS = {"state_dict": dict, "hyper_parameters": dict, "images_seen": int, "epoch": int}
PRETRAINED = Path(__file__).parent / "pretrained" / "generator.safetensors"

log = logging.getLogger("gan")


def checkpoint_path(ckpt: str | None, key: str) -> Path:
    """The file that a user means.

    Args:
        ckpt: `last` or `best` (of the newest run), `pretrained` (the generator in the package), or a path. None means
            `last`, or `pretrained` if there is no run yet; the log then says so.
        key: the config key, named in error messages.

    Raises:
        UserError: there is no such file.
    """
    if ckpt is None:
        run, without = newest_runs()
        if run and without:
            log.info("the newest run, %s, has no checkpoint yet: taking the one before, %s", without, run)
        if run:
            return run / LAST
        log.info("no training run here yet: taking the pretrained generator (%s=pretrained)", key)
        ckpt = "pretrained"
    if ckpt == "pretrained":
        path = PRETRAINED
    elif ckpt in ("last", "best"):
        path = newest_run(key) / "checkpoints" / f"{ckpt}.ckpt"
    else:
        path = Path(ckpt).absolute()
    if not path.is_file():
        raise UserError(f"{key}={ckpt}: there is no file {path}")
    return path


def read_checkpoint(path: Path, key: str) -> dict[str, Any]:
    """Reads a checkpoint onto the CPU without executing anything in it.

    Raises:
        UserError: it is damaged, not a checkpoint of this project, or contains more than tensors and plain values.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles of other programs, which are refused
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a file from elsewhere can raise anything
        if isinstance(error, pickle.UnpicklingError):
            what = "not a checkpoint, or one that holds more than weights and plain values"
            raise UserError(f"{key}={path}: refused, {what}") from error
        reason = (str(error) or type(error).__name__).splitlines()[0].partition(". ")[0]
        raise UserError(f"{key}={path}: not a readable checkpoint ({reason})") from error
    complete = isinstance(checkpoint, dict) and all(isinstance(checkpoint.get(p), kind) for p, kind in PARTS.items())
    if not complete:
        raise UserError(f"{key}={path}: not a checkpoint of this project; it needs {', '.join(PARTS)}")
    options = checkpoint["hyper_parameters"]
    absent = [name for name in SHAPE if name not in options]
    if not isinstance(options.get("generator"), dict) or "_target_" not in options["generator"]:
        absent.insert(0, "generator")
    if absent:
        raise UserError(f"{key}={path}: of another version of this project; it lacks {', '.join(absent)}")
    return checkpoint


def progress(checkpoint: dict[str, Any]) -> tuple[int, int]:
    """Finished epochs of a checkpoint's run, and batches done in the epoch after them; 0 between two epochs."""
    batches = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
    if batches["is_last_batch"]:
        return checkpoint["epoch"] + 1, 0
    return checkpoint["epoch"], batches["current"]["processed"]
