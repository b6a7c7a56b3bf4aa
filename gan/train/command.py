"""Trains a GAN: `gan train [overrides]`, or `train(cfg)` from Python.

gan train experiment=quick
gan train model=dcgan_compact data.batch_size=64 hardware=gpu logger=[csv,tensorboard]
"""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning import Callback
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException
from omegaconf import DictConfig, OmegaConf
from torch.distributed import DistError

from gan.callbacks.budget import NoMoreBatches
from gan.callbacks.checkpoints import RunCheckpoints
from gan.callbacks.mid_epoch import MidEpoch
from gan.callbacks.settings_record import SettingsRecord
from gan.checkpoint_files import checkpoint_path, newest_whole
from gan.config import instantiate, settle_output_dir
from gan.config.targets import packages_of
from gan.data import MNISTDataModule
from gan.errors import DivergedError, Stopped, UserError, one_line
from gan.execution import Execution
from gan.hardware import check_compiler, settle_hardware, settle_precision, slurm_plugins
from gan.module import GAN
from gan.optional_files import OptionalFiles, read_json
from gan.runs.folder import held
from gan.runs.newest import LAST
from gan.threads import forget_threads, settle_threads
from gan.train.checkpoint_io import CheckpointIO
from gan.train.checks import check_batches, check_callbacks, check_config, check_model_fits_data
from gan.train.resume import Progress, checkpoint_to_resume, load_weights, require_no_other_run, resume
from gan.trainer_types import Trainer, current_metrics

MAX_REWINDS = 3  # of a run, with on_divergence=rewind
EXPECTED_WARNINGS = (
    ".*LeafSpec.*",  # Lightning's own use of torch's pytrees is deprecated
    "You're resuming from a checkpoint that ended before the epoch ended",  # MidEpoch resumes in the middle of one
    # A run may resume without what had ended it.
    r""".*add the following callbacks: \[(, |'Timer'|"EarlyStopping\{[^"]*")+\]""",
    "Grad strides do not match bucket view strides",  # DDP then copies gradients, which is only slower
    "The `srun` command is available",  # gan.hardware refuses a wrong use of srun
    ".*is not supported by the model summary",  # networks.txt has no sizes in memory
    "The number of training batches .* is smaller than the logging interval",  # which counts over all epochs here
)

LIGHTNING_LEVELS = {
    "lightning.fabric": logging.WARNING,
    "lightning.pytorch": logging.WARNING,
    "lightning.pytorch.callbacks": logging.INFO,  # such as EarlyStopping with verbose=true
}

log = logging.getLogger("gan")


@contextmanager
def without_expected_messages() -> Iterator[None]:
    """Lightning's start is silent, since `RunReport` says the same, and so are warnings of what is meant to be so.

    What its callbacks say is logged once: if the root logger has handlers, Lightning's own are put aside.
    """
    levels = {name: logging.getLogger(name).level for name in LIGHTNING_LEVELS}
    for name, level in LIGHTNING_LEVELS.items():
        logging.getLogger(name).setLevel(level)
    loggers = [logging.getLogger(name) for name in ("lightning", "lightning.fabric", "lightning.pytorch")]
    before = [(each.handlers, each.propagate) for each in loggers]
    for each in loggers if logging.getLogger().hasHandlers() else []:
        each.handlers, each.propagate = [], True
    try:
        with warnings.catch_warnings():
            for expected in EXPECTED_WARNINGS:
                warnings.filterwarnings("ignore", message=expected)
            yield
    finally:
        for each, (handlers, propagate) in zip(loggers, before, strict=True):
            each.handlers, each.propagate = handlers, propagate
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def determinism_of_the_caller() -> Iterator[None]:
    """Lightning sets torch's determinism for the whole process; after a run it is the caller's again."""
    enabled = torch.are_deterministic_algorithms_enabled()
    only_warned, benchmark = torch.is_deterministic_algorithms_warn_only_enabled(), torch.backends.cudnn.benchmark
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=only_warned)
        torch.backends.cudnn.benchmark = benchmark


@without_expected_messages()
@determinism_of_the_caller()
def train(cfg: DictConfig) -> tuple[GAN, dict[str, float]]:
    """Trains from a composed config and leaves the run's files in its folder.

    Args:
        cfg: of `conf/train.yaml`, composed by Hydra or by `gan.config.compose("train", overrides)`. Its `output_dir`
            becomes the path of the run's folder, so that another run needs a config of its own.

    Returns:
        The trained module, and the last value of each logged metric.

    Raises:
        UserError: a value that cannot work, before any training starts.
    """
    output_dir = settle_output_dir(cfg, "train")
    check_config(cfg)
    forget_threads()
    settle_threads(cfg.threads)
    settle_hardware(cfg.trainer)
    if cfg.compile is True:
        check_compiler(cfg.trainer.accelerator)
    resume_from = checkpoint_to_resume(cfg, output_dir)

    lightning.seed_everything(cfg.seed, verbose=False)
    datamodule: MNISTDataModule = _of_kind(MNISTDataModule, cfg, "data", instantiate(cfg.data))
    rank_zero_only(datamodule.prepare_data)()  # an error of the data ends the run before it starts other processes
    rewinds = 0
    while True:
        trust = packages_of(OmegaConf.to_container(cfg.model, resolve=True))
        module: GAN = _of_kind(GAN, cfg, "model", instantiate(cfg.model, trust=trust))
        module.execution = Execution(cfg.cuda_graph, cfg.steps_per_execution, cfg.compile, rewinds)
        check_model_fits_data(module, datamodule.source)
        if cfg.init_from and not resume_from:
            load_weights(module, checkpoint_path(cfg.init_from, "init_from"), "init_from")
        progress, recorded = Progress.CONTINUES, {}
        if resume_from:
            progress = resume(cfg, module, resume_from)
            recorded = read_json(resume_from.with_suffix(".json")).get("metrics", {})
        if progress is Progress.COMPLETE:
            return module, recorded
        try:
            metrics = _fit(cfg, module, datamodule, resume_from, ended=progress is Progress.TRAINED)
            return module, metrics or recorded  # none are logged where no batch was left to train on
        except DivergedError as error:
            last, rewinds = output_dir / LAST, module.rewinds + 1
            if cfg.on_divergence == "stop" or rewinds > MAX_REWINDS or not last.is_file():
                raise
            log.warning("%s", error)
            log.warning("rewound     to %s, with half the learning rates", last)
            resume_from = newest_whole(last)


def _fit(
    cfg: DictConfig, module: GAN, datamodule: MNISTDataModule, resume_from: Path | None, ended: bool
) -> dict[str, float]:
    """Trains, and returns the last value of each logged metric. With `ended` only the last files are written."""
    settle_precision(cfg.trainer, module, datamodule.batch_size)
    callbacks = _built(cfg, "callbacks", Callback)
    trainer = _build_trainer(cfg, [MidEpoch(), *callbacks, *([NoMoreBatches()] if ended else []), SettingsRecord(cfg)])
    check_batches(trainer, datamodule, module)
    check_callbacks(callbacks, cfg.trainer.get("max_time"))
    own_run, ended_well = _wandb_run(), False
    try:
        with held(Path(cfg.output_dir)) if trainer.is_global_zero else nullcontext():
            if trainer.is_global_zero:  # one may have ended there since this one began
                require_no_other_run(Path(cfg.output_dir), resume_from)
            settings: Any = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
            for logger in trainer.loggers:
                logger.log_hyperparams(settings)
            trainer.fit(module, datamodule=datamodule, ckpt_path=resume_from, weights_only=True)
        ended_well = True
    except DivergedError:
        if cfg.on_divergence == "rewind":  # which would pass over a signal
            _stop_if_told(trainer)
        raise
    except SIGTERMException:  # before or after training, where there is nothing to save
        raise Stopped(143) from None
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # Lightning turns Ctrl-C into it
            raise KeyboardInterrupt from None
        raise
    except RuntimeError as error:
        if str(error).startswith("Early stopping conditioned on metric"):  # which nobody has logged
            raise UserError(f"callbacks: {one_line(error)}") from error
        if trainer.world_size == 1 or not (isinstance(error, DistError) or "gloo" in str(error)):
            raise
        lost = f"lost another of this run's {trainer.world_size} processes, which ended or did not answer in time"
        raise RuntimeError(f"{lost}; ckpt_path=auto hydra.run.dir={cfg.output_dir} resumes the run") from error
    finally:
        if _wandb_run() is not own_run:  # else the next job of a sweep would write into it
            with OptionalFiles(OSError).writing(Path(cfg.output_dir, "wandb")):  # its own process may have died
                sys.modules["wandb"].finish(exit_code=int(not ended_well))
    _stop_if_told(trainer)
    return {name: float(value) for name, value in current_metrics(trainer).items()}


def _build_trainer(cfg: DictConfig, callbacks: list[Callback]) -> Trainer:
    logger, plugins = _built(cfg, "logger", Logger) or False, [CheckpointIO(), *slurm_plugins()]
    shows_bar: dict[str, Any] = {}
    if cfg.trainer.get("enable_progress_bar") is None:  # Lightning would add a bar of its own
        shows_bar["enable_progress_bar"] = any(isinstance(callback, ProgressBar) for callback in callbacks)
    built = instantiate(cfg.trainer, callbacks=callbacks, logger=logger, plugins=plugins, **shows_bar)
    trainer: Trainer = _of_kind(lightning.Trainer, cfg, "trainer", built)
    if isinstance(cfg.trainer.get("profiler"), str):  # one of Lightning's by its name reports in the run's folder
        trainer.profiler.dirpath, trainer.profiler.filename = cfg.output_dir, "profile"
    return trainer


def _stop_if_told(trainer: Trainer) -> None:
    """Ends the first process after a signal that the training has not obeyed."""
    for callback in trainer.callbacks:
        if isinstance(callback, RunCheckpoints) and trainer.is_global_zero:
            callback.stop_if_told()


def _wandb_run() -> Any:
    """The W&B run of this process, such as one of the caller's own."""
    return getattr(sys.modules.get("wandb"), "run", None)


def _built(cfg: DictConfig, group: str, kind: type) -> list[Any]:
    """The objects of a config group, without entries that are null; a UserError for one of another kind."""
    built = {name: part for name, part in instantiate(cfg.get(group) or {}).items() if part is not None}
    return [_of_kind(kind, cfg, f"{group}.{name}", part) for name, part in built.items()]


def _of_kind(kind: type, cfg: DictConfig, key: str, part: Any) -> Any:
    """What the config at a key has built; a UserError if it is of another kind."""
    if not isinstance(part, kind):
        target, package = OmegaConf.select(cfg, key)._target_, kind.__module__.partition(".")[0]
        raise UserError(f"{key}._target_={target}: not a {kind.__name__} of {package}")
    return part
