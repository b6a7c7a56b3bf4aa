"""What Hydra's own entry point does, except that a refused command leaves nothing on the disk."""

import argparse
import importlib
import os
import signal
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.callbacks import Callbacks
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, configure_log, env_override
from hydra.types import RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from gan.atomic_write import hindrance_to_writing
from gan.cli.help import command_help
from gan.config.compose import CONFIG_DIR, composing, own_hydra
from gan.config.early_checks import check, expanded, refuse_other_folders
from gan.config.environment import is_later_rank
from gan.config.hydra_flags import flags_help, unchecked_help
from gan.config.overrides import as_typed, is_of_sweep
from gan.errors import UserError
from gan.runs.folder import open_log, record_settings, without_hydra
from gan.stop_signals import ended_by


class ComposingHydra(Hydra):
    """Hydra whose errors while it composes name the override or the file."""

    def compose_config(self, config_name: str | None, overrides: list[str], *args: Any, **options: Any) -> DictConfig:
        typed = [text for text in overrides if not text.startswith("hydra.mode=")]  # which this file adds
        with composing(typed):
            return super().compose_config(config_name, overrides, *args, **options)


def run_hydra(command: str, options: argparse.Namespace) -> None:
    """Composes the command's config and calls the command with it, or does what one of Hydra's flags asks for."""
    if options.help or options.hydra_help:
        print(flags_help() if options.hydra_help else command_help(command, options.overrides, _own_configs(options)))
        return
    stopped_by = () if command == "train" else (signal.SIGTERM, signal.SIGHUP)  # which saves a checkpoint first
    with ended_by(*stopped_by), own_hydra():
        _run_hydra(command, options)


def _run_hydra(command: str, options: argparse.Namespace) -> None:
    def task(cfg: DictConfig) -> None:
        getattr(importlib.import_module(f"gan.{command}.command"), command)(cfg)

    version.setbase("1.3")
    hydra = ComposingHydra.create_main_hydra2(command, _search_path(options))
    name, overrides = options.config_name or command, options.overrides
    own = options.config_path is not None or options.config_name is not None
    if own and not _has_folder(hydra, name, overrides):
        overrides += ["+shared=own_folder", f"hydra.run.dir=outputs/{command}/${{now:%Y-%m-%d_%H-%M-%S-%f}}"]
    if options.cfg:
        hydra.show_cfg(name, overrides, options.cfg, options.package, options.resolve)
    elif options.info:
        hydra.show_info(options.info, name, overrides)
    elif options.shell_completion:
        with unchecked_help():
            hydra.shell_completion(name, overrides)
    elif options.multirun or "hydra.mode=MULTIRUN" in overrides:
        hydra.multirun(name, task, [*overrides, "hydra.mode=MULTIRUN"])
    else:
        _run(hydra, command, name, overrides, task)


def _search_path(options: argparse.Namespace) -> ConfigSearchPath:
    main = CONFIG_DIR if options.config_path is None else expanded("--config-path", options.config_path).absolute()
    path = create_config_search_path(str(main))
    schema = SearchPathQuery(provider="schema")
    if folder := _own_configs(options):
        path.prepend("command-line", f"file://{folder}", schema)
    if main != CONFIG_DIR:
        path.prepend("gan", f"file://{CONFIG_DIR}", schema)
    return path


def _own_configs(options: argparse.Namespace) -> Path | None:
    """The folder that --config-dir names."""
    if options.config_dir is None:
        return None
    folder = expanded("--config-dir", options.config_dir).absolute()
    if not folder.is_dir():
        raise UserError(f"--config-dir {options.config_dir}: there is no folder {folder}")
    return folder


def _has_folder(hydra: Hydra, name: str, overrides: list[str]) -> bool:
    """Whether a primary config of the user's says where its runs are, or the command line does."""
    config = hydra.compose_config(name, overrides, RunMode.RUN, validate_sweep_overrides=False)
    run: Any = OmegaConf.to_container(config.hydra.run)  # ${...} stays unresolved
    return "output_dir" in config and not str(run["dir"]).startswith("outputs/${now:")


def _run(hydra: Hydra, command: str, name: str, overrides: list[str], task: TaskFunction) -> None:
    config = hydra.compose_config(name, [*overrides, "hydra.mode=RUN"], RunMode.RUN, with_log_configuration=True)
    HydraConfig.instance().set_config(config)
    folder = Path(os.path.abspath(expanded("hydra.run.dir", str(config.hydra.run.dir))))
    with read_write(config.hydra.runtime), open_dict(config.hydra.runtime):
        config.hydra.runtime.output_dir = str(folder)
    HydraConfig.instance().set_config(config)
    own = without_hydra(config)
    given = config.hydra.overrides
    for text in as_typed(given.hydra) + (as_typed(given.task) if command == "train" else []):
        if is_of_sweep(text):
            raise UserError(f"{text}: only with --multirun, which starts a sweep")
    check(command, own, config)
    if own.get("output_dir", str(folder)) != str(folder):
        named = "hydra.run.dir=FOLDER names it, and a config leaves output_dir out"
        raise UserError(f"output_dir={own.output_dir}: a run has one folder, {named}")
    if not is_later_rank():  # Lightning starts those without a .hydra of their own
        refuse_other_folders(config.hydra, command)
    has_folder = folder != Path.cwd() or config.hydra.output_subdir is not None
    if has_folder and (reason := hindrance_to_writing(folder)):
        needed = "a run needs a folder, hydra.run.dir=FOLDER names another one"
        raise UserError(f"{config.hydra.run.dir}: {reason}; {needed}")
    with composing(overrides):
        configure_log(config.hydra.job_logging, config.hydra.verbose)
    _call(task, name, config, own)
    if command != "train" and folder.is_dir():  # a training does so as it begins; one that is complete is left as it is
        record_settings()
        open_log()


def _call(task: TaskFunction, name: str, config: DictConfig, own: DictConfig) -> None:
    callbacks, job = Callbacks(config), JobReturn(cfg=own, hydra_cfg=config, status=JobStatus.FAILED)
    callbacks.on_run_start(config=config, config_name=name)
    with env_override(config.hydra.job.env_set):
        callbacks.on_job_start(config=config, task_function=task)
        try:
            task(own)
            job.status = JobStatus.COMPLETED
        finally:
            callbacks.on_job_end(config=config, job_return=job)
            callbacks.on_run_end(config=config, config_name=name, job_return=job)
