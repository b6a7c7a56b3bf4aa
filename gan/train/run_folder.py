"""A run's folder belongs to one process."""

from pathlib import Path

from filelock import FileLock, Timeout
from lightning.pytorch.utilities import rank_zero_only

from gan.atomic_write import remove_temporary_files
from gan.errors import UserError


class RunFolder:
    """Holds a run's folder for this process until it is released. The system releases it when the process ends.

    Raises:
        UserError: another process holds it, or it cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = FileLock(folder / ".lock", blocking=False)
        if rank_zero_only.rank != 0:  # the first process holds it for all
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
            remove_temporary_files(folder)
        except Timeout as error:
            raise UserError(f"hydra.run.dir={folder}: another process trains there; choose another folder") from error

    def release(self) -> None:
        self._lock.release()
