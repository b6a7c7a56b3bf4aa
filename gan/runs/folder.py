"""The folder of a command's run. Nothing is written to it before the command is accepted."""

import logging
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from gan.atomic_write import remove_temporary_files, write_atomic
from gan.config.compose import in_multirun
from gan.errors import UserError
from gan.optional_files import OptionalFiles

OWN = (".hydra", "checkpoints", "samples", "plots")  # what a run writes below its folder; other runs may be there too


class RunLog(logging.FileHandler):
    """`run.log`. Lines that are logged before the run is accepted are kept until then, or dropped if it is refused.

    Lines that cannot be written, as on a full disk, cost one warning.
    """

    def __init__(self, filename: str) -> None:
        super().__init__(filename, encoding="utf-8", errors="backslashreplace", delay=True)
        self._files = OptionalFiles(expected=OSError)
        # Jobs of a sweep write at once: the sweep has made their folders.
        self.waiting: list[logging.LogRecord] | None = None if in_multirun() else []

    def emit(self, record: logging.LogRecord) -> None:
        if self.waiting is not None:
            self.waiting.append(record)
            return
        with self._files.writing(Path(self.baseFilename)):
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        if isinstance(error := sys.exception(), OSError):
            raise error
        super().handleError(record)

    def accept(self) -> None:
        waiting, self.waiting = self.waiting, None
        for record in waiting or []:
            self.emit(record)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Makes a run's folder, and keeps other processes out of it. The system lets go of it when the process ends.

    Folders that are made here are deleted after an error that comes before the run's settings are recorded in it.

    Raises:
        UserError: another process holds it.
    """
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", blocking=False):
            remove_temporary_files(folder, *(folder / name for name in OWN))
            try:
                yield
            except BaseException:
                if not (folder / "config.yaml").exists():
                    _delete(new)
                raise
    except Timeout as error:
        raise UserError(f"hydra.run.dir={folder}: another process writes there; choose another folder") from error


def _delete(new: Sequence[Path]) -> None:
    """Deletes the first of some folders with all that is in it, and those around it as far as they are empty."""
    if new:
        shutil.rmtree(new[0], ignore_errors=True)
    for parent in new[1:]:
        with suppress(OSError):  # another run is there by now
            parent.rmdir()


def record_settings() -> None:
    """Writes the settings of a run of the command line into its folder."""
    hydra: Any = HydraConfig.get() if HydraConfig.initialized() else None
    if hydra is not None and hydra.mode == RunMode.RUN and hydra.output_subdir is not None:
        folder = Path(hydra.runtime.output_dir, hydra.output_subdir)
        folder.mkdir(parents=True, exist_ok=True)
        whole = hydra._get_parent()
        own, settings = without_hydra(whole), OmegaConf.masked_copy(whole, "hydra")
        for name, content in {"config": own, "hydra": settings, "overrides": hydra.overrides.task}.items():
            write_atomic(folder / f"{name}.yaml", OmegaConf.to_yaml(content))


def open_log() -> None:
    """Opens the log of a run of the command line, if it waits for a run that is accepted."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, RunLog) and handler.waiting is not None:
            handler.accept()


def without_hydra(config: DictConfig) -> DictConfig:
    """A copy of a composed config for the command, without Hydra's own settings."""
    copy = config.copy()
    OmegaConf.set_readonly(copy, False)
    with open_dict(copy):
        del copy["hydra"]
    return copy
