"""What `gan train` refuses before training starts: values and combinations that cannot work."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from lightning import Callback, Trainer
from lightning.pytorch import callbacks as lightnings
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf
from torch import nn

from gan.config import in_multirun
from gan.config.bounds import require_part
from gan.config.early_checks import check
from gan.config.overrides import as_typed
from gan.config.trainer_flags import check_one_process, several_processes
from gan.data import MNISTDataModule, Source
from gan.errors import UserError
from gan.hardware import processes_started
from gan.module import GAN
from gan.trainer_types import limited

log = logging.getLogger("gan")

UNFIT: dict[type[Callback], str] = {
    lightnings.BatchSizeFinder: "data.batch_size=N sets the batch size",
    lightnings.LearningRateFinder: "a sweep compares learning rates",
    lightnings.GradientAccumulationScheduler: "data.batch_size=N sets the batch size",
    lightnings.ModelPruning: "leave it out",
    lightnings.OnExceptionCheckpoint: "a run that stops has saved last.ckpt",  # Lightning resumes its file unasked
    lightnings.StochasticWeightAveraging: "model.ema_half_life averages the generator's weights",
}


def check_config(cfg: DictConfig) -> None:
    """Raises a UserError for the first value that cannot work. Data and model check theirs when they are built."""
    # Without a name, each process started by torchrun or srun would make a folder of the second in which it started.
    several = (processes_started() or 1) > 1 and HydraConfig.initialized()
    if several and not any(text.startswith("hydra.run.dir=") for text in as_typed(HydraConfig.get().overrides.hydra)):
        raise UserError("hydra.run.dir: several processes need one folder; name it, hydra.run.dir=outputs/train/NAME")
    if in_multirun():
        check_one_process(cfg)
    elif HydraConfig.initialized() and "n_trials" in cfg:
        raise UserError(f"sweep={HydraConfig.get().runtime.choices['sweep']}: a search needs gan train --multirun")
    check("train", cfg)
    if cfg.on_divergence == "rewind" and (setting := several_processes(cfg)):
        raise UserError(f"on_divergence=rewind: only with one process, not {setting}")
    for group in ("callbacks", "logger"):
        for name, part in (cfg.get(group) or {}).items():
            require_part(f"{group}.{name}", part, optional=True)
    if OmegaConf.select(cfg, "callbacks.checkpoints") is None:
        hint = "every_n_epochs=0 keeps last.ckpt and best.ckpt only"
        raise UserError(f"callbacks.checkpoints=null: a run without checkpoints could not be resumed; {hint}")
    directory, own = OmegaConf.select(cfg, "callbacks.checkpoints.directory"), Path(cfg.output_dir, "checkpoints")
    if directory is not None and Path(directory).absolute() != own:
        hint = "a run has one folder, hydra.run.dir=FOLDER names it"
        raise UserError(f"callbacks.checkpoints.directory={directory}: checkpoints are in {own}; {hint}")


def check_model_fits_data(module: GAN, source: Source) -> None:
    """Raises a UserError unless a model has the image channels of the data and, if any, its classes."""
    channels, classes = module.hparams["image_channels"], module.num_classes
    if channels != source.channels:
        raise UserError(f"model.image_channels={channels}: the images of {source.name} have {source.channels}")
    found = source.num_classes
    if classes and classes != found:
        raise UserError(f"model.num_classes={classes}: {source.name} has {found} classes; null ignores them")


def check_callbacks(callbacks: Sequence[Callback], max_time: object) -> None:
    """Raises a UserError for a callback of Lightning's that cannot work with manual optimization or a resumed run."""
    for callback in callbacks:
        for kind, instead in UNFIT.items():
            if isinstance(callback, kind):
                raise UserError(f"callbacks: {kind.__name__} does not work here; {instead}")
        if max_time is not None and isinstance(callback, lightnings.Timer):  # Lightning would ignore `max_time`
            raise UserError(f"trainer.max_time={max_time}: only without a Timer among the callbacks")


def check_batches(trainer: Trainer, datamodule: MNISTDataModule, module: GAN) -> None:
    """Raises a UserError for a batch too small to normalize, or limits below one batch or above an epoch."""
    if datamodule.batch_size == 1 and any(isinstance(layer, nn.BatchNorm1d) for layer in module.modules()):
        raise UserError("data.batch_size=1: 2 or more with this model, which normalizes over the batch")
    datamodule.setup()
    of_training = datamodule.epoch_images // (datamodule.batch_size * trainer.world_size)
    of_validation = math.ceil(len(datamodule.val_images) / (datamodule.val_batch_size * trainer.world_size))
    limits = {"train": (trainer.limit_train_batches, of_training), "val": (trainer.limit_val_batches, of_validation)}
    for name, (limit, batches) in limits.items():
        if type(limit) is float and 0 < limit * batches < 1:
            raise UserError(f"trainer.limit_{name}_batches={limit}: less than one of the {batches:,} batches")
    epoch = limited(of_training, trainer.limit_train_batches)
    run: float = math.inf if trainer.max_epochs in (None, -1) else trainer.max_epochs * epoch
    if most := module.hparams["max_images"]:
        run = min(run, math.ceil(most / (datamodule.batch_size * trainer.world_size)))
    if trainer.limit_val_batches:
        _check_validation(trainer, epoch, run)


def _check_validation(trainer: Trainer, epoch: int, run: float) -> None:
    """Warns where the first validation would come after the end; `epoch` and `run` are their lengths in batches."""
    every, interval = trainer.check_val_every_n_epoch, trainer.val_check_interval
    if type(interval) is int and interval > epoch and every:
        hint = "trainer.check_val_every_n_epoch=null counts those of all epochs"
        raise UserError(f"trainer.val_check_interval={interval}: an epoch has {epoch:,} batches; {hint}")
    if (interval if every is None else (every - 1) * epoch + 1) > run:
        setting = "val_check_interval" if every is None else "check_val_every_n_epoch"
        text = "no validation: trainer.%s=%d, and the run ends before"
        rank_zero_only(log.warning)(text, setting, every or interval)
