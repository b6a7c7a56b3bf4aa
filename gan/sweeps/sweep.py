"""A sweep's folder, and the launcher that runs jobs in it."""

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from gan.errors import UserError
from gan.sweeps.jobs import FAILED, FINISHED, UNFINISHED, Job, read_job, read_jobs, settings, write_outcome
from gan.sweeps.run_job import run_job
from gan.sweeps.table import LOCK, write_report

log = logging.getLogger("gan")
STUDY = "study.db"


class Sweep:
    """The jobs of one folder: numbered subfolders, found again by their settings when the sweep is started again.

    Args:
        config: of the sweep as a whole, as Hydra hands it to a sweeper.
        hydra_context: Hydra's.
        params: values by key, or what is swept over, from the config.
        arguments: of the command line; they replace params of the same key.
    """

    def __init__(
        self, config: DictConfig, hydra_context: HydraContext, params: Mapping[str, str], arguments: Sequence[str]
    ) -> None:
        self.name = str(config.sweep_name)
        text = isinstance(config.sweep_name, str | int)  # 1e3 would be the folder 1000.0
        if not text or self.name in ("", "..") or Path(self.name).name != self.name:
            raise UserError(f"sweep_name={self.name}: the name of a folder in outputs/multirun, a text without /")
        self.folder = Path(config.hydra.sweep.dir).absolute()
        self._config, self._loader, self._report = config, hydra_context.config_loader, ""
        self._launcher = Plugins.instance().instantiate_launcher(hydra_context, run_job, config)
        given = [*(f"{key}={value}" for key, value in params.items()), *arguments]
        parsed = OverridesParser.create(config_loader=self._loader).parse_overrides(given)
        overrides = {override.get_key_element(): override for override in parsed}
        self.fixed = [override.input_line for override in overrides.values() if not override.is_sweep_override()]
        self.swept = {key: override for key, override in overrides.items() if override.is_sweep_override()}

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """A job's config.

        Raises:
            UserError, HydraException: it cannot be composed, or cannot run as a job.
        """
        from gan.train.checks import check_one_process

        config = self._loader.load_sweep_config(self._config, list(overrides))
        check_one_process(config)
        return config

    @contextmanager
    def session(self) -> Iterator[None]:
        """Keeps other processes out of the folder while jobs run in it, and leaves its table behind.

        Raises:
            UserError: another process runs this sweep.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.folder / LOCK, blocking=False):
                try:
                    yield
                finally:
                    self._report = write_report(self.folder, running=False)
        except Timeout as error:
            raise UserError(f"sweep_name={self.name}: another process runs this sweep") from error

    def jobs(self) -> dict[int, Job]:
        return {int(job.name): job for job in read_jobs(self.folder) if job.name.isdigit()}

    def launch(self, numbered: Mapping[int, Sequence[str]]) -> None:
        """Runs jobs from their start, each in the folder of its number; afterwards each is finished or failed.

        What an earlier try left there is removed, but for `ckpt_path=auto`, which goes on from its last checkpoint.
        """
        if not numbered:
            return
        OmegaConf.save(self._config, self.folder / "multirun.yaml")
        batch = []
        for number, overrides in numbered.items():
            if settings(overrides).get("ckpt_path", self._config.ckpt_path) != "auto":
                self._clear(number)
            batch.append([*overrides, f"hydra.sweep.subdir={number}"])
        lost = "its process ended before it did"
        try:
            self._launcher.launch(batch, initial_job_idx=min(numbered))
        except Exception as error:  # a launcher's worker that was killed; the other jobs' outcomes are in their folders
            lost = " ".join(f"{type(error).__name__}: {error}".split())
            log.error("the launcher failed: %s", lost)
        for number in numbered:
            job = read_job(self.folder / str(number))
            if job is None or job.status == UNFINISHED:
                write_outcome(self.folder / str(number), FAILED, lost)

    def _clear(self, number: int) -> None:
        """Takes a job's folder out of the way whole, so that a kill while it is deleted leaves no part of it."""
        folder, discarded = self.folder / str(number), self.folder / ".discarded"
        shutil.rmtree(discarded, ignore_errors=True)
        if folder.exists():
            folder.rename(discarded)
            shutil.rmtree(discarded)

    def end(self, numbers: Sequence[int]) -> None:
        """Says what came of the jobs.

        Raises:
            SystemExit: of status 1, when one of them failed.
        """
        log.info("%s\ntable, figure and jobs: %s", self._report, self.folder)
        jobs = self.jobs()
        if any(number not in jobs or jobs[number].status != FINISHED for number in numbers):
            raise SystemExit(1)
