"""Trains a GAN: `gan train [overrides]`, or `train(cfg)` from Python.

gan train experiment=quick
gan train model=dcgan_compact data.batch_size=64 hardware=gpu logger=[csv,tensorboard]
"""

import logging
import warnings
from pathlib import Path
from typing import Any

import lightning
from lightning import LightningDataModule, Trainer
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf

from gan.build import packages_of
from gan.checkpoint import checkpoint_path, read_checkpoint
from gan.config import in_multirun, instantiate, settle_output_dir
from gan.errors import UserError
from gan.hardware import settle_hardware
from gan.module import GAN

# what Lightning says at each start is said by RunReport, and its use of torch's pytrees is not the user's business
logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", message=".*LeafSpec.*")

SHAPES = ("generator", "discriminator", "latent_dim", "num_classes", "image_channels")


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
    settle_hardware(cfg.trainer)
    resume_from = _resume_from(cfg, output_dir)
    if in_multirun() and str(cfg.trainer.devices) != "1":
        raise UserError(
            f"trainer.devices={cfg.trainer.devices}: a job of a sweep has one process; use hardware=cpu or gpu"
        )
    if cfg.max_images is not None:
        cfg.trainer.max_epochs = -1

    lightning.seed_everything(cfg.seed, verbose=False)
    datamodule: LightningDataModule = instantiate(cfg.data)
    rank_zero_only(datamodule.prepare_data)()  # missing files end the run here, before other processes are started
    module: GAN = instantiate(cfg.model, trust=packages_of(OmegaConf.to_container(cfg.model, resolve=True)))
    if module.hparams.image_channels != datamodule.source.channels:
        raise UserError(
            f"model.image_channels={module.hparams.image_channels}: the images of {datamodule.source.name} have "
            f"{datamodule.source.channels}"
        )
    if cfg.init_from:
        _load_weights(module, checkpoint_path(cfg.init_from, "init_from"), "init_from")
    if resume_from:
        _check_same_networks(module, read_checkpoint(resume_from, "ckpt_path"), resume_from)
    if cfg.compile:
        module.generator.compile()
        module.discriminator.compile()
    trainer: Trainer = instantiate(
        cfg.trainer,
        callbacks=list(instantiate(cfg.callbacks).values()),
        logger=list(instantiate(cfg.logger).values()) if cfg.get("logger") else False,
    )

    if trainer.is_global_zero:
        output_dir.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(cfg, output_dir / "config.yaml", resolve=True)
    trainer.fit(module, datamodule=datamodule, ckpt_path=resume_from, weights_only=True)
    return module, {name: float(value) for name, value in trainer.callback_metrics.items()}


def _resume_from(cfg: DictConfig, output_dir: Path) -> Path | None:
    """The checkpoint to continue from; None starts afresh, which must not overwrite another run."""
    last = output_dir / "checkpoints" / "last.ckpt"
    if cfg.ckpt_path == "auto":
        return last if last.is_file() else None
    if cfg.ckpt_path is not None:
        return checkpoint_path(cfg.ckpt_path, "ckpt_path")
    if last.is_file():
        raise UserError(f"hydra.run.dir={output_dir}: it holds a run already; ckpt_path=auto continues it")
    return None


def _check_same_networks(module: GAN, checkpoint: dict[str, Any], path: Path) -> None:
    for name in SHAPES:
        now, then = module.hparams[name], checkpoint["hyper_parameters"].get(name)
        if now != then:
            raise UserError(f"model.{name}={now}: {path} was trained with {then}")


def _load_weights(module: GAN, path: Path, key: str) -> None:
    checkpoint = read_checkpoint(path, key)
    _check_same_networks(module, checkpoint, path)
    module.load_state_dict(checkpoint["state_dict"])
