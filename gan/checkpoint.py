"""Reading checkpoints: which file is meant, and whether it is one of ours."""

import logging
import pickle
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gan.errors import UserError
from gan.rebuild import SHAPE, rebuild

PARTS = {"state_dict": dict, "hyper_parameters": dict, "images_seen": int, "epoch": int}
PRETRAINED = Path(__file__).parent / "pretrained" / "generator.safetensors"

log = logging.getLogger("gan")


def newest_run(root: Path = Path("outputs/train")) -> Path:
    """The folder of the newest training run that left a checkpoint.

    Raises:
        UserError: there is none.
    """
    checkpoints = sorted(root.glob("*/checkpoints/last.ckpt"), key=lambda path: path.stat().st_mtime)
    if not checkpoints:
        raise UserError(f"no run with a checkpoint under {root.absolute()}; `gan train` makes one")
    return checkpoints[-1].parent.parent.absolute()


def checkpoint_path(ckpt: str | None, key: str) -> Path:
    """The file that a user means.

    Args:
        ckpt: `last` or `best` (of the newest run), `pretrained` (the generator in the package), or a path; None is
            `last`, and `pretrained` where there is no run yet, which the log then says.
        key: of the config, for the error's text.

    Raises:
        UserError: there is no such file.
    """
    if ckpt is None:
        try:
            return newest_run() / "checkpoints" / "last.ckpt"
        except UserError:
            log.info("no training run here yet: taking the pretrained generator (%s=pretrained)", key)
            ckpt = "pretrained"
    if ckpt == "pretrained":
        path = PRETRAINED
    elif ckpt in ("last", "best"):
        path = newest_run() / "checkpoints" / f"{ckpt}.ckpt"
    else:
        path = Path(ckpt).absolute()
    if not path.is_file():
        raise UserError(f"{key}={ckpt}: there is no file {path}")
    return path


def read_checkpoint(path: Path, key: str) -> dict[str, Any]:
    """A checkpoint on the CPU; nothing in it is executed.

    Raises:
        UserError: it is damaged, not a checkpoint of this project, or holds more than plain values.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about foreign pickles, which are refused
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a stranger's file can make the reader raise anything
        if isinstance(error, pickle.UnpicklingError):
            what = "not a checkpoint, or one that holds more than weights and plain values"
            raise UserError(f"{key}={path}: refused, {what}") from error
        reason = (str(error) or type(error).__name__).splitlines()[0].partition(". ")[0]
        raise UserError(f"{key}={path}: not a readable checkpoint ({reason})") from error
    if not isinstance(checkpoint, dict) or not all(
        isinstance(checkpoint.get(part), kind) for part, kind in PARTS.items()
    ):
        raise UserError(f"{key}={path}: not a checkpoint of this project; it needs {', '.join(PARTS)}")
    options = checkpoint["hyper_parameters"]
    absent = [name for name in SHAPE if name not in options]
    if not isinstance(options.get("generator"), dict) or "_target_" not in options["generator"]:
        absent.insert(0, "generator")
    if absent:
        raise UserError(f"{key}={path}: of another version of this project; it does not say {', '.join(absent)}")
    return checkpoint


def read_generator(path: Path, key: str, trust: Sequence[str] = ()) -> tuple[nn.Module, dict[str, Any]]:
    """The averaged generator of a checkpoint, on the CPU, and what is known of it.

    Args:
        path: of a checkpoint; nothing in it is executed.
        key: the config key that named it, for the error's text.
        trust: packages of the user's that its network may come from.

    Raises:
        UserError: as for `read_checkpoint`; a network that may not be built, or that its weights do not fit.
    """
    checkpoint = read_checkpoint(path, key)
    options = checkpoint["hyper_parameters"]
    shape = {name: options[name] for name in SHAPE}
    prefix = "generator_ema."
    try:
        saved = checkpoint["state_dict"].items()
        weights = {name.removeprefix(prefix): value for name, value in saved if name.startswith(prefix)}
        network = rebuild(options["generator"], shape, weights, trust)
    except UserError as error:
        raise UserError(f"{key}={path}: {error}") from error
    except Exception as error:  # a stranger's values can make a constructor raise anything
        reason = " ".join(str(error).split()[:12])
        raise UserError(f"{key}={path}: its weights do not fit its generator ({reason} ...)") from error
    sizes = [(value.numel(), value.requires_grad) for value in network.parameters()]
    facts = {
        "model_name": options["generator"]["_target_"],
        **shape,
        "data": checkpoint.get("data"),
        "epoch": checkpoint["epoch"] + 1,
        "images_seen": checkpoint["images_seen"],
        "total_parameters": sum(size for size, _ in sizes),
        "trainable_parameters": sum(size for size, trained in sizes if trained),
    }
    return network, facts
