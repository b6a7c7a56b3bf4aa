"""What `trainer.*` may be: each flag of Lightning's Trainer either works, or is refused in one line."""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from gan.config.bounds import TRAIN, require_part, unknown_key
from gan.errors import UserError


class Refused(NamedTuple):
    """A flag that this program has no use for: values that change nothing, and what to do."""

    instead: str
    harmless: tuple[Any, ...] = (None,)


REFUSED = {
    "gradient_clip_val": Refused("model.gradient_clip_norm clips gradients"),
    "gradient_clip_algorithm": Refused("model.gradient_clip_norm clips gradients by their norm"),
    "accumulate_grad_batches": Refused(
        "every batch is a step of each network; data.batch_size sets its size", (None, 1)
    ),
    "fast_dev_run": Refused("experiment=debug runs a few batches", (None, False, 0)),
    "overfit_batches": Refused("trainer.limit_train_batches sets the length of an epoch", (None, 0, 0.0)),
    "enable_checkpointing": Refused(
        "checkpoints are callbacks.checkpoints; a run without them could not be resumed", (None, True)
    ),
    "enable_model_summary": Refused("networks.txt in the run's folder lists the layers", (None, False)),
    "callbacks": Refused("callbacks are entries of `callbacks`, +callbacks.NAME={_target_: ...}"),
    "logger": Refused("loggers are entries of `logger`, logger=[csv,tensorboard]"),
    "plugins": Refused("trainer.precision and hardware choose them"),
    "max_steps": Refused(
        "it would count the steps of both networks; max_images or trainer.max_epochs ends a run", (None, -1)
    ),
    "min_steps": Refused("it would count the steps of both networks; trainer.min_epochs sets a least length"),
    "limit_test_batches": Refused("gan evaluate measures on the test images; its num_samples says on how many"),
    "limit_predict_batches": Refused("gan generate generates images; its num_images says how many"),
    "use_distributed_sampler": Refused("each process always has its own part of the images", (None, True)),
    "sync_batchnorm": Refused("batch normalization has the statistics of each process's own batch", (None, False)),
    "barebones": Refused("a run needs its checkpoints and measures", (None, False)),
    "reload_dataloaders_every_n_epochs": Refused("the images of a run stay in memory", (None, 0)),
    "model_registry": Refused("it is for Lightning's cloud"),
    "enable_autolog_hparams": Refused("the loggers record the whole config", (None, True)),
}

DDP = "lightning.pytorch.strategies.DDPStrategy"
STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true")
VARIABLE = "PL_TRAINER_"  # of those that Lightning reads for flags that it was not given
PROFILERS = ("simple", "advanced", "pytorch")
DURATION = re.compile(r"(?P<days>\d+):(?P<hours>\d\d):(?P<minutes>\d\d):(?P<seconds>\d\d)")


def check_trainer(cfg: DictConfig) -> None:
    """Raises a UserError for the first flag that cannot work. Values with bounds in TRAIN were checked before."""
    trainer = cfg.get("trainer")
    require_part("trainer", trainer)
    for name, value in os.environ.items():
        flag = name.removeprefix(VARIABLE).lower()
        if name.startswith(VARIABLE) and flag in FLAGS:
            raise UserError(f"{name}={value}: unset it, Lightning would obey it unseen; trainer.{flag}={value} sets it")
    given: Any = OmegaConf.to_container(cfg)
    root = given["trainer"].get("default_root_dir")
    if root not in ("${output_dir}", given["output_dir"]):
        raise UserError(f"trainer.default_root_dir={root}: a run has one folder, hydra.run.dir={root} names it")
    for flag in trainer:
        if flag in REFUSED and trainer[flag] not in REFUSED[flag].harmless:
            raise UserError(f"trainer.{flag}={trainer[flag]}: {REFUSED[flag].instead}")
        if flag not in FLAGS and not flag.startswith("_") and trainer.get("_target_") == "lightning.Trainer":
            raise UserError(unknown_key(f"trainer.{flag}", FLAGS, "Lightning's Trainer"))
    for flag, check in CHECKS.items():
        if flag in trainer:
            value = trainer[flag]
            check(cfg, f"trainer.{flag}", OmegaConf.to_container(value) if OmegaConf.is_config(value) else value)


def check_one_process(cfg: DictConfig) -> None:
    """Raises a UserError for a job with several processes: each of them would start the whole sweep again."""
    if several := several_processes(cfg):
        raise UserError(f"{several}: a job of a sweep has one process; use hardware=cpu or gpu")


def several_processes(cfg: DictConfig) -> str | None:
    """The setting that starts more than one process, as KEY=VALUE."""
    devices, nodes = cfg.trainer.devices, cfg.trainer.get("num_nodes", 1)
    if str(devices) != "1" and not (OmegaConf.is_list(devices) and len(devices) == 1):
        return f"trainer.devices={devices}"
    return f"trainer.num_nodes={nodes}" if nodes != 1 else None


def _check_devices(cfg: DictConfig, key: str, value: Any) -> None:
    on_cpu = cfg.trainer.get("accelerator") == "cpu"
    number = type(value) is int and (value >= 1 or (value == -1 and not on_cpu))
    indices = isinstance(value, list) and {type(index) for index in value} == {int} and not on_cpu
    if not (number or value == "auto" or (indices and min(value) >= 0 and len(set(value)) == len(value))):
        allowed = "" if on_cpu else ", -1 for all, a list of their numbers"
        raise UserError(f"{key}={value}: how many{allowed}, or auto")


def _check_strategy(cfg: DictConfig, key: str, value: Any) -> None:
    target = value.get("_target_") if isinstance(value, Mapping) else None
    if value not in (None, *STRATEGIES) and (target is None or (target.startswith("lightning.") and target != DDP)):
        raise UserError(f"{key}={target or value}: {', '.join(STRATEGIES)}, or {{_target_: {DDP}, ...}}")
    if target == DDP and (not value.get("find_unused_parameters") or value.get("static_graph")):
        wanted = "find_unused_parameters: true, and no static_graph"
        raise UserError(f"{key}: {wanted}; a step of one network leaves the other one's parameters unused")


def _check_profiler(cfg: DictConfig, key: str, value: Any) -> None:
    if isinstance(value, Mapping):
        require_part(key, value)
    elif value not in (None, *PROFILERS):
        raise UserError(f"{key}={value}: {', '.join(PROFILERS)}, {{_target_: ...}} or null")


def _check_progress_bar(cfg: DictConfig, key: str, value: bool) -> None:
    if not value and (cfg.get("callbacks") or {}).get("progress_bar") is not None:
        raise UserError(f"{key}={value}: only with ~callbacks.progress_bar, which leaves the run's own bar out")


def _check_min_epochs(cfg: DictConfig, key: str, value: int | None) -> None:
    most = cfg.trainer.get("max_epochs")
    if value and cfg.get("max_images") is not None:
        raise UserError(f"{key}={value}: only without max_images={cfg.max_images}, which ends a run")
    if value and most is not None and 0 <= most < value:
        raise UserError(f"{key}={value}: at most trainer.max_epochs={most}")


def _check_limit(cfg: DictConfig, key: str, value: float | None) -> None:
    if type(value) is float and value > 1 and not value.is_integer():
        raise UserError(f"{key}={value}: a whole number of batches, or a fraction of all up to 1.0")


def _check_interval(cfg: DictConfig, key: str, value: float | None) -> None:
    _check_limit(cfg, key, value)
    if type(value) is float and cfg.trainer.get("check_val_every_n_epoch", 1) is None:
        raise UserError(f"{key}={value}: a whole number of batches where trainer.check_val_every_n_epoch is null")


def _check_duration(cfg: DictConfig, key: str, value: Any) -> None:
    given = value
    if isinstance(value, str) and (match := DURATION.fullmatch(value.strip())):
        given = {unit: int(number) for unit, number in match.groupdict().items()}
    try:
        fits = value is None or timedelta(**given) > timedelta(0)
    except (TypeError, ValueError, OverflowError):
        fits = False
    if not fits:
        allowed = "days:hours:minutes:seconds, such as 00:00:30:00, {minutes: 30}, or null"
        raise UserError(f"{key}={value}: {allowed}")


CHECKS = {
    "devices": _check_devices,
    "strategy": _check_strategy,
    "profiler": _check_profiler,
    "enable_progress_bar": _check_progress_bar,
    "min_epochs": _check_min_epochs,
    "limit_train_batches": _check_limit,
    "limit_val_batches": _check_limit,
    "val_check_interval": _check_interval,
    "max_time": _check_duration,
}
FLAGS = {
    "default_root_dir",
    *REFUSED,
    *CHECKS,
    *(key.removeprefix("trainer.") for key in TRAIN if key.startswith("trainer.")),
}
