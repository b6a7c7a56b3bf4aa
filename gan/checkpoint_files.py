"""Checkpoint files: which file a user means, whether it is whole, how it is written and read, and how far its run was.

A checkpoint is what `torch.save` writes. Its zip archive ends with a comment, the SHA-256 checksum of all before it.
"""

import hashlib
import io
import logging
import os
import pickle
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan.atomic_write import write_atomic
from gan.config.early_checks import require_file
from gan.errors import UserError
from gan.runs.newest import BEST, LAST, newest_run, newest_runs

SHAPE = ("latent_dim", "num_classes", "image_channels")
PARTS = {"state_dict": dict, "hyper_parameters": dict, "images_seen": int, "epoch": int}
CHECKSUM, DIGITS = b"sha256=", 64
PRETRAINED = Path(__file__).parent / "pretrained" / "generator.safetensors"

log = logging.getLogger("gan")


def newest_whole(last: Path) -> Path:
    """A run's `last.ckpt`; where that is damaged, the newest whole checkpoint beside it, and the log says so.

    Raises:
        UserError: none of them is whole.
    """
    others = sorted(last.parent.glob("*.ckpt"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in (last, *(path for path in others if path != last)):
        if path.is_file() and not is_damaged(path.read_bytes()):
            if path != last:
                log.warning("%s is damaged or missing: taking %s, the newest whole one", last, path.name)
            return path
    raise UserError(f"{last}: damaged or missing, and there is no whole checkpoint beside it")


def is_damaged(content: bytes) -> bool:
    """Whether the content of a file differs from its checksum. Without a checksum only a missing end is noticed."""
    if _has_checksum(content):
        before, _, checksum = content.rpartition(CHECKSUM)
        return hashlib.sha256(before + CHECKSUM).hexdigest().encode() != checksum
    return b"PK\5\6" not in content[-128:]  # the record that ends a zip archive


def _has_checksum(content: bytes) -> bool:
    return CHECKSUM in content[-DIGITS - len(CHECKSUM) :]


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
            return newest_whole(run / LAST)
        log.info("no training run here yet: taking the pretrained generator (%s=pretrained)", key)
        ckpt = "pretrained"
    if ckpt == "pretrained":
        path = PRETRAINED
    elif ckpt == "last":
        path = newest_whole(newest_run(key) / LAST)
    elif ckpt == "best":
        path = newest_run(key) / BEST
    else:
        path = Path(os.path.expanduser(ckpt)).absolute()
    require_file(key, ckpt, path)
    return path


def write_checkpoint(path: Path, checkpoint: dict[str, Any]) -> None:
    """Writes a checkpoint atomically, with its checksum.

    Raises:
        OSError: that is not possible; it names the file.
        UserError: the checkpoint has what `read_checkpoint` would refuse.
    """
    written, types = serialized(checkpoint)
    if types:
        raise UserError(
            f"{path}: not written, it would have {', '.join(types)}; only tensors and plain values are read"
        )
    length = struct.pack("<H", len(CHECKSUM) + DIGITS)  # of the comment: the last two bytes of the archive
    content = written[:-2] + length + CHECKSUM
    write_atomic(path, content + hashlib.sha256(content).hexdigest().encode())


def serialized(value: Any) -> tuple[bytes, list[str]]:
    """What `torch.save` makes of a value, and the types in it that `read_checkpoint` refuses."""
    import torch

    buffer = io.BytesIO()
    torch.save(value, buffer)
    buffer.seek(0)
    return buffer.getvalue(), torch.serialization.get_unsafe_globals_in_checkpoint(buffer)


def read_checkpoint(path: Path, key: str) -> dict[str, Any]:
    """Reads a checkpoint onto the CPU without executing anything in it.

    Raises:
        UserError: it is damaged, not a checkpoint of this project, or contains more than tensors and plain values.
    """
    import torch

    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{key}={path}: {error.strerror}") from error
    if _has_checksum(content) and is_damaged(content):
        raise UserError(f"{key}={path}: damaged, its checksum does not match its content")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles of other programs, which are refused
            checkpoint = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
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


def epoch_position(checkpoint: Mapping[str, Any]) -> tuple[int, int]:
    """Finished epochs of a checkpoint's run, and batches done in the epoch after them; 0 between two epochs."""
    batches = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
    if batches["is_last_batch"]:
        return checkpoint["epoch"] + 1, 0
    return checkpoint["epoch"], batches["current"]["processed"]
