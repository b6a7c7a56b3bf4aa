"""A sweep: the folder of its jobs, and the launcher that runs them."""

import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from gan.config.compose import composing
from gan.config.early_checks import check, expanded, refuse_other_folders
from gan.config.overrides import as_typed, ckpt_path_of, in_braces, is_of_sweep, key_of, quoted
from gan.config.trainer_flags import check_one_process
from gan.errors import UserError, joined
from gan.runs.folder import without_hydra
from gan.sweeps.job_records import COMPLETE, FAILED, UNFINISHED, Job, read_job, read_jobs, write_outcome
from gan.sweeps.run_job import run_job
from gan.sweeps.sweep_table import LOCK, write_report

log = logging.getLogger("gan")
STUDY_FILE = "study.db"
STUDY_NAME = "sweep"  # the brackets of Hyperband depend on it
SUBDIR = "${hydra.job.num}"  # of conf/train.yaml


class Sweep:
    """The jobs in one folder, each in a numbered subfolder. `arguments`, of the command line, replace `params`."""

    def __init__(
        self, config: DictConfig, hydra_context: HydraContext, params: Mapping[str, str], arguments: Sequence[str]
    ) -> None:
        self.name = str(config.sweep_name)
        text = isinstance(config.sweep_name, str | int)  # a number such as 1e3 would name the folder 1000.0
        if not text or self.name in ("", "..") or Path(self.name).name != self.name:
            raise UserError(f"sweep_name={self.name}: the name of a folder in outputs/multirun, without /")
        self.folder = expanded("hydra.sweep.dir", str(config.hydra.sweep.dir)).absolute()
        with read_write(config.hydra.sweep):
            config.hydra.sweep.dir = str(self.folder)
        self._config, self._loader = config, hydra_context.config_loader
        _refuse_settings_without_effect(config)
        self._launcher = Plugins.instance().instantiate_launcher(hydra_context, run_job, config)
        if not isinstance(params, Mapping):
            raise UserError(f"hydra.sweeper.params={params}: a mapping of keys to values")
        given = [*(f"{key}={value}" for key, value in params.items()), *arguments]
        parsed = OverridesParser.create(config_loader=self._loader).parse_overrides(given)
        # A group's choice and values of it in braces, `model=conditional 'model={latent_dim: 32}'`, are two settings.
        overrides = {_setting(override): override for override in parsed}
        self.fixed = [str(override.input_line) for override in overrides.values() if not override.is_sweep_override()]
        self.swept = {}  # by the name that the setting has among those of a job
        for (key, _, braces), override in overrides.items():
            if override.is_sweep_override():
                if override.is_discrete_sweep() and not list(override.sweep_iterator()):
                    raise UserError(f"{override.input_line}: there is no value in it")
                name = override.get_key_element()
                if is_of_sweep(name):
                    raise UserError(f"{override.input_line}: this is of the whole sweep, so it has one value")
                self.swept[f"{name}.{{}}" if braces and (key, False, False) in overrides else name] = override

    def override(self, name: str, value: object) -> str:
        """The override that gives a swept setting a value."""
        return f"{self.swept[name].get_key_element()}={value}"

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """A job's config; a UserError or HydraException for one that cannot work, or needs more than one process."""
        with composing(overrides):
            config = self._loader.load_sweep_config(self._config, list(overrides))
        if "output_dir" in config and not OmegaConf.is_interpolation(config, "output_dir"):
            raise UserError(f"output_dir={config.output_dir}: each job has a folder of its own in {self.folder}")
        with open_dict(config.hydra.job):
            config.hydra.job.num = config.hydra.job.id = 0  # settings may read it, and each job gets its own
        HydraConfig.instance().set_config(config)
        check("train", without_hydra(config), config)
        check_one_process(config)
        self._check_wandb_id(config)
        return config

    def _check_wandb_id(self, config: DictConfig) -> None:
        named = OmegaConf.select(config, "wandb.id") is not None and not OmegaConf.is_interpolation(config.wandb, "id")
        if named and self.swept and "wandb.id" not in map(key_of, self.swept):
            raise UserError(f"wandb.id={config.wandb.id}: each job is a run of its own; wandb.group={config.wandb.id}")
        if (of_all := os.environ.get("WANDB_RUN_ID")) and self.swept and "wandb" in config:
            raise UserError(f"environment variable WANDB_RUN_ID={of_all}: each job is a run of its own; unset it")

    def run(self, run_jobs: Callable[[], Sequence[int]]) -> None:
        """Has the folder to itself while `run_jobs` launches jobs and returns the numbers of all that are wanted."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.folder / LOCK, blocking=False):
                try:
                    numbers = run_jobs()
                finally:
                    report = write_report(self.folder, running=False)
        except Timeout as error:
            raise UserError(f"sweep_name={self.name}: another process runs this sweep") from error
        log.info("%s\ntable, figure and jobs: %s", report, self.folder)
        jobs = self.jobs()
        for number in numbers:
            if number not in jobs:
                log.error("job %d: %s has no settings that can be read", number, self.folder / str(number))
        if any(number not in jobs or jobs[number].status not in COMPLETE for number in numbers):
            raise SystemExit(1)

    def jobs(self) -> dict[int, Job]:
        return {int(job.name): job for job in read_jobs(self.folder) if job.name.isdigit()}

    def launch(self, numbered: Mapping[int, Sequence[str]]) -> None:
        """Runs jobs by number, each in its folder, emptied unless it resumes; then each is complete or failed."""
        if not numbered:
            return
        OmegaConf.save(self._config, self.folder / "multirun.yaml")
        batch = []
        for number, overrides in numbered.items():
            named = [path for text in overrides if (path := ckpt_path_of(text)) is not None]
            if (named[-1] if named else self._config.ckpt_path) != "auto":
                self._clear(number)
            batch.append([*overrides, f"hydra.sweep.dir={quoted(str(self.folder))}", f"hydra.sweep.subdir={number}"])
        reason = "its process ended before the training did"
        try:
            self._launcher.launch(batch, initial_job_idx=min(numbered))
        except UserError:
            raise
        except Exception as error:  # such as a killed worker; the outcomes of other jobs are in their folders
            reason = joined(f"{type(error).__name__}: {error}")
            log.error("the launcher failed: %s", reason)
        for number in numbered:
            job = read_job(self.folder / str(number))
            if job is None or job.status == UNFINISHED:
                write_outcome(self.folder / str(number), FAILED, reason)

    def _clear(self, number: int) -> None:
        """Deletes a job's folder. It is renamed first, so that a kill leaves no part of it under its number."""
        folder, discarded = self.folder / str(number), self.folder / ".discarded"
        shutil.rmtree(discarded, ignore_errors=True)
        if folder.exists():
            folder.rename(discarded)
            shutil.rmtree(discarded)


def _setting(override: Override) -> tuple[str, bool, bool]:
    """The key that an override sets, whether it deletes it, and whether all its values are in braces."""
    swept = override.is_discrete_sweep()
    texts = [f"={value}" for value in override.sweep_string_iterator()] if swept else [str(override.input_line)]
    return key_of(override.get_key_element()), override.is_delete(), all(map(in_braces, texts))


def _refuse_settings_without_effect(config: DictConfig) -> None:
    refuse_other_folders(config.hydra)
    sweep: Any = OmegaConf.to_container(config.hydra.sweep)
    if sweep["subdir"] != SUBDIR:
        raise UserError(f"hydra.sweep.subdir={sweep['subdir']}: the number of a job names its folder; leave this out")
    for text in as_typed(config.hydra.overrides.hydra):
        if text.lstrip("+").startswith("hydra.run."):
            raise UserError(f"{text}: a sweep's folder is outputs/multirun/SWEEP_NAME, or hydra.sweep.dir=FOLDER")
