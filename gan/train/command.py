"""Trains a GAN: `gan train [overrides]`, or `train(cfg)` from Python.

gan train experiment=quick
gan train model=dcgan_compact data.batch_size=64 hardware=gpu logger=[csv,tensorboard]
"""

import json
import logging
import math
import sys
import warnings
from pathlib import Path
from typing import Any

import lightning
from hydra.core.hydra_config import HydraConfig
from lightning import LightningDataModule, Trainer
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf
from torch.distributed import DistError

from gan.checkpoint_files import checkpoint_path, read_checkpoint
from gan.config import in_multirun, instantiate, settle_output_dir
from gan.config.bounds import check_trainer, require_number, require_part
from gan.config.targets import packages_of
from gan.data import Source
from gan.errors import UserError
from gan.execution import Execution
from gan.hardware import processes_started, settle_hardware, slurm_plugins
from gan.loggers import ImageAxis
from gan.module import GAN

# what Lightning says at each start is said by RunReport, that of srun by gan.hardware where it matters, RunCheckpoints
# goes on in the middle of an epoch, a run may go on without max_time, and Lightning's use of torch's pytrees is not the
# user's business
logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", message=".*LeafSpec.*")
warnings.filterwarnings("ignore", message="You're resuming from a checkpoint that ended before the epoch ended")
warnings.filterwarnings("ignore", message=r".*add the following callbacks: \['Timer'\]")
warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
warnings.filterwarnings("ignore", message="The `srun` command is available")

log = logging.getLogger("gan")
NETWORKS = ("generator", "discriminator", "latent_dim", "num_classes", "image_channels")
RESTORED = (*NETWORKS, "generator_optimizer", "discriminator_optimizer")


def train(cfg: DictConfig) -> tuple[GAN, dict[str, float]]:
    """Trains from a composed config and leaves the run's files in its folder.

    Args:
        cfg: of `conf/train.yaml`, composed by Hydra or by `gan.config.compose("train", overrides)`.

    Returns:
        The trained module, and the last value of each logged metric.

    Raises:
        UserError: a value that cannot work, before any training starts.
    """
    output_dir = settle_output_dir(cfg, "train")
    _check_folder_is_shared()
    settle_hardware(cfg.trainer)
    resume_from = _resume_from(cfg, output_dir)
    if in_multirun():
        check_one_process(cfg)
    elif HydraConfig.initialized() and "n_trials" in cfg:
        raise UserError(f"sweep={HydraConfig.get().runtime.choices['sweep']}: a search needs gan train --multirun")
    require_number("seed", cfg.seed, least=0, below=2**32, whole=True)
    require_number("max_images", cfg.max_images, least=1, whole=True, optional=True)
    check_trainer(cfg.trainer)
    for group in ("callbacks", "logger"):
        for name, part in (cfg.get(group) or {}).items():
            require_part(f"{group}.{name}", part, optional=True)
    _timer(cfg)

    lightning.seed_everything(cfg.seed, verbose=False)
    datamodule: LightningDataModule = instantiate(cfg.data)
    rank_zero_only(datamodule.prepare_data)()  # missing files end the run here, before other processes are started
    module: GAN = instantiate(cfg.model, trust=packages_of(OmegaConf.to_container(cfg.model, resolve=True)))
    _check_fit(module, datamodule.source)
    if cfg.init_from:
        _load_weights(module, checkpoint_path(cfg.init_from, "init_from"), "init_from")
    if resume_from:
        checkpoint = read_checkpoint(resume_from, "ckpt_path")
        _check_same(RESTORED, module, checkpoint, resume_from)
        module.on_load_checkpoint(checkpoint)  # the images seen, at which loggers continue
        if nothing_left := _nothing_left(cfg, checkpoint):
            log.info("%s: %s", resume_from, nothing_left)
            module.load_state_dict(checkpoint["state_dict"])
            numbers = resume_from.with_suffix(".json")
            return module, json.loads(numbers.read_text())["metrics"] if numbers.is_file() else {}
        rank_zero_only(log.info)("goes on     after %d epochs and %s images", *_progress(checkpoint))
        for name, now in module.hparams.items():
            if (then := checkpoint["hyper_parameters"].get(name)) != now:
                rank_zero_only(log.info)("changed     model.%s=%s, so far %s", name, now, then)
        if "wandb" in cfg and cfg.wandb.id is None:
            cfg.wandb.id = checkpoint.get("wandb_id")
    module.execution = Execution(cfg.cuda_graph, cfg.steps_per_execution)
    if cfg.compile:
        module.generator.compile()
        module.discriminator.compile()
    trainer: Trainer = instantiate(
        cfg.trainer,
        callbacks=_parts(cfg, "callbacks"),
        logger=_parts(cfg, "logger") or False,
        plugins=slurm_plugins(),
    )

    settings = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    for logger in trainer.loggers:
        logger.log_hyperparams(settings)
        if isinstance(logger, ImageAxis):
            logger.follow(module)
    if trainer.is_global_zero:
        output_dir.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(cfg, output_dir / "config.yaml", resolve=True)
    ended_well = False
    try:
        trainer.fit(module, datamodule=datamodule, ckpt_path=resume_from, weights_only=True)
        ended_well = True
    except RuntimeError as error:
        if trainer.world_size == 1 or not (isinstance(error, DistError) or "gloo" in str(error)):
            raise
        lost = f"lost another of this run's {trainer.world_size} processes, which ended or was silent for too long"
        raise RuntimeError(f"{lost}; ckpt_path=auto hydra.run.dir={output_dir} goes on") from error
    finally:
        if "wandb" in sys.modules:  # else the next job of a sweep would write into this one's run
            sys.modules["wandb"].finish(exit_code=int(not ended_well))
    return module, {name: float(value) for name, value in trainer.callback_metrics.items()}


def check_one_process(cfg: DictConfig) -> None:
    """Refuses a job of a sweep that would start the whole sweep again in each of its processes."""
    if str(cfg.trainer.devices) != "1":
        raise UserError(
            f"trainer.devices={cfg.trainer.devices}: a job of a sweep has one process; use hardware=cpu or gpu"
        )


def _resume_from(cfg: DictConfig, output_dir: Path) -> Path | None:
    """The checkpoint to continue from; None starts afresh, which must not overwrite another run."""
    last = output_dir / "checkpoints" / "last.ckpt"
    if cfg.ckpt_path == "auto":
        return last if last.is_file() else None
    if cfg.ckpt_path in ("last", "best"):
        raise UserError(
            f"ckpt_path={cfg.ckpt_path}: the command line alone takes `last`; here it may be a file or auto"
        )
    path = checkpoint_path(cfg.ckpt_path, "ckpt_path") if cfg.ckpt_path else None
    if last.is_file() and (path is None or path.parent != last.parent):
        raise UserError(f"hydra.run.dir={output_dir}: it holds another run; ckpt_path=auto continues that")
    return path


def _parts(cfg: DictConfig, group: str) -> list[Any]:
    """What a group's entries build, without those that are null."""
    return [part for part in instantiate(cfg.get(group) or {}).values() if part is not None]


def _check_folder_is_shared() -> None:
    """Processes that something else started would each take the second they began in as the run's folder."""
    if (processes_started() or 1) > 1 and HydraConfig.initialized():
        named = any(text.startswith("hydra.run.dir=") for text in HydraConfig.get().overrides.hydra)
        if not named:
            raise UserError(
                "hydra.run.dir: several processes need one folder; name it, hydra.run.dir=outputs/train/NAME"
            )


def _progress(checkpoint: dict[str, Any]) -> tuple[int, int]:
    """Whole epochs and images."""
    ended = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["is_last_batch"]
    return checkpoint["epoch"] + ended, checkpoint["images_seen"]


def _nothing_left(cfg: DictConfig, checkpoint: dict[str, Any]) -> str | None:
    """Why a run cannot go on from a checkpoint; None where it can."""
    epochs, images = _progress(checkpoint)
    if 0 <= (cfg.trainer.get("max_epochs") or 1000) <= epochs or images >= (cfg.max_images or math.inf):
        return f"{epochs} epochs and {images} images are done already"
    timer = _timer(cfg)
    timer.load_state_dict(checkpoint["callbacks"].get(timer.state_key, {}))
    remaining = timer.time_remaining()
    if remaining is not None and remaining <= 0:
        return f"trainer.max_time={cfg.trainer.max_time} is used up; a longer one goes on, or null"
    return None


def _timer(cfg: DictConfig) -> Timer:
    max_time = OmegaConf.to_container(cfg.trainer).get("max_time")
    try:
        return Timer(max_time)
    except (MisconfigurationException, AttributeError, TypeError) as error:
        allowed = "days:hours:minutes:seconds, such as 00:00:30:00, {minutes: 30}, or null"
        raise UserError(f"trainer.max_time={max_time}: {allowed}") from error


def _check_fit(module: GAN, source: Source) -> None:
    """The model's channels and classes must be those of the data."""
    channels, classes = module.hparams.image_channels, module.num_classes
    if channels != source.channels:
        raise UserError(f"model.image_channels={channels}: the images of {source.name} have {source.channels}")
    if classes and classes != source.num_classes:
        raise UserError(
            f"model.num_classes={classes}: {source.name} has {source.num_classes} classes; null ignores them"
        )


def _check_same(names: tuple[str, ...], module: GAN, checkpoint: dict[str, Any], path: Path) -> None:
    """What comes from the checkpoint cannot be given another value."""
    for name in names:
        now, then = module.hparams[name], checkpoint["hyper_parameters"].get(name)
        if now != then:
            raise UserError(f"model.{name}={now}: {path} was trained with {then}")


def _load_weights(module: GAN, path: Path, key: str) -> None:
    checkpoint = read_checkpoint(path, key)
    _check_same(NETWORKS, module, checkpoint, path)
    module.load_state_dict(checkpoint["state_dict"])
