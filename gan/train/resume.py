"""What a training run starts from and what it keeps of that; docs/training.md has the table of `ckpt_path`.

`gan.runs.newest` turns `ckpt_path=last` into the newest run's settings and `auto` before the command starts.
"""

import logging
import math
import os
from collections.abc import Iterator, Sequence
from enum import Enum, auto
from pathlib import Path
from typing import Any

import torch
from joblib import cpu_count
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf

from gan.checkpoint_files import SHAPE, checkpoint_path, epoch_position, newest_whole, read_checkpoint
from gan.config import in_multirun
from gan.errors import UserError, one_line
from gan.module import GAN
from gan.optional_files import read_json
from gan.runs.newest import LAST
from gan.threads import settle_threads

LIGHTNING_DEFAULT_EPOCHS = 1000  # of a Trainer with max_epochs=None
NETWORKS = ("generator", "discriminator", *SHAPE)
OPTIMIZERS = ("generator_optimizer", "discriminator_optimizer")
ABSENT = "(absent)"  # of a key that one of two dicts lacks

log = logging.getLogger("gan")


def checkpoint_to_resume(cfg: DictConfig, output_dir: Path) -> Path | None:
    """The checkpoint file of `ckpt_path`; None starts a new run.

    Raises:
        UserError: there is no such file, or the run would overwrite another one in its folder.
    """
    last = output_dir / LAST
    if cfg.ckpt_path == "auto":
        return newest_whole(last) if any(last.parent.glob("*.ckpt")) else None
    if cfg.ckpt_path == "best":
        raise UserError("ckpt_path=best: a run resumes from its last checkpoint; last, auto or a file is allowed")
    if cfg.ckpt_path == "last":
        raise UserError("ckpt_path=last: only the command line takes `last`; Python takes a file or auto")
    if cfg.ckpt_path and Path(cfg.ckpt_path).absolute() == last:
        return newest_whole(last)
    path = checkpoint_path(cfg.ckpt_path, "ckpt_path") if cfg.ckpt_path else None
    require_no_other_run(output_dir, path)
    return path


def require_no_other_run(output_dir: Path, resume_from: Path | None) -> None:
    """Raises a UserError for a folder with checkpoints of a run that is not the one to be resumed."""
    checkpoints = (output_dir / LAST).parent
    if any(checkpoints.glob("*.ckpt")) and (resume_from is None or resume_from.parent != checkpoints):
        raise UserError(f"hydra.run.dir={output_dir}: another run is there; ckpt_path=auto resumes it")


def load_weights(module: GAN, path: Path, key: str, fixed: Sequence[str] = NETWORKS) -> dict[str, Any]:
    """Gives a run the weights of a checkpoint, and returns that; a UserError if a setting in `fixed` differs."""
    checkpoint = read_checkpoint(path, key)
    for name in fixed:
        now, then = module.hparams[name], checkpoint["hyper_parameters"].get(name)
        if now != then:
            setting, now, then = next(_differences(f"model.{name}", now, then))
            remedy = "" if name in NETWORKS else f"; init_from={path} takes its weights alone"
            raise UserError(f"{setting}={now}: {path} was trained with {then}{remedy}")
    try:
        module.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:  # the code of a network has changed, and its arguments have not
        raise UserError(f"{key}={path}: its weights do not fit the networks; {one_line(error)}") from error
    return checkpoint


def _differences(key: str, now: Any, then: Any) -> Iterator[tuple[str, Any, Any]]:
    """Where two values differ, or the entries of dicts that they are: the key and both values."""
    if isinstance(now, dict) and isinstance(then, dict):
        for name in {**now, **then}:
            yield from _differences(f"{key}.{name}", now.get(name, ABSENT), then.get(name, ABSENT))
    elif now != then:
        yield key, now, then


class Progress(Enum):
    """How far a run is that resumes."""

    CONTINUES = auto()
    TRAINED = auto()  # it was killed before its last files were written, and they are due
    COMPLETE = auto()


def resume(cfg: DictConfig, module: GAN, path: Path) -> Progress:
    """Prepares a run that resumes, and logs which settings differ; Lightning restores the rest in `fit`.

    The module of a run that does not continue gets its weights.

    Raises:
        UserError: the file cannot be read, or the networks or optimizers differ.
    """
    checkpoint = load_weights(module, path, "ckpt_path", (*NETWORKS, *OPTIMIZERS))
    if not {"loops", "optimizer_states"} <= checkpoint.keys():
        raise UserError(f"ckpt_path={path}: it has no progress of a run; init_from={path} takes its weights")
    say, run = rank_zero_only(log.info), path.parent.parent
    elsewhere = run != Path(cfg.output_dir)
    if "wandb" in cfg and cfg.wandb.id is None and not (elsewhere and in_multirun()):
        cfg.wandb.id = checkpoint.get("wandb_id")
    if reason := _end_reached(cfg, checkpoint):
        say("%s: %s", path, reason)
        module.on_load_checkpoint(checkpoint)
        written = read_json(run / "summary.json").get("images_seen") == checkpoint["images_seen"]
        return Progress.COMPLETE if elsewhere or written else Progress.TRAINED
    say("resumed     after %s images", f"{checkpoint['images_seen']:,}")
    for name, now in module.hparams.items():
        for difference in _differences(f"model.{name}", now, checkpoint["hyper_parameters"].get(name)):
            say("changed     %s=%s, was %s", *difference)
    if threads := checkpoint.get("threads"):  # another number rounds differently
        if cfg.threads is None and not os.environ.get("OMP_NUM_THREADS"):
            settle_threads(min(threads, cpu_count()))
        if torch.get_num_threads() != threads:
            say("changed     threads=%d, was %d", torch.get_num_threads(), threads)
    return Progress.CONTINUES


def _end_reached(cfg: DictConfig, checkpoint: dict[str, Any]) -> str | None:
    epochs, images = epoch_position(checkpoint)[0], checkpoint["images_seen"]
    most = cfg.trainer.get("max_epochs")
    if 0 <= (LIGHTNING_DEFAULT_EPOCHS if most is None else most) <= epochs or images >= (cfg.max_images or math.inf):
        return f"{images:,} images are done already"
    settings: Any = OmegaConf.to_container(cfg.trainer)
    timer = Timer(settings.get("max_time"))
    timer.load_state_dict(checkpoint["callbacks"].get(timer.state_key, {}))
    remaining = timer.time_remaining()
    if remaining is not None and remaining <= 0:
        return f"trainer.max_time={cfg.trainer.max_time} is used up; a longer one, or null, resumes the run"
    return None
