"""A job of a sweep in a process of its own, on this machine or another.

python -m gan.sweeps.remote   (of `launcher=parallel`: reads a pickled job and its arguments from its standard input)
"""

import os
import pickle
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hydra.core.utils import run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission


class RemoteJob:
    """What Hydra's own launcher does for a job, in whatever process it is unpickled and called."""

    def __init__(self, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def __call__(self, overrides: Sequence[str], number: int) -> None:
        setup_globals()
        config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config.hydra.job) as job:
            job.num = job.id = number
        run_job(
            hydra_context=self.hydra_context,
            task_function=self.task_function,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )

    def checkpoint(self, overrides: Sequence[str], number: int) -> "DelayedSubmission":
        """What submitit puts back into the queue for a preempted job: all of it again, from its last checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, overrides, number)


def main() -> None:
    job, *arguments = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_launcher, daemon=True).start()
    try:
        job(*arguments)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _end_with_launcher() -> None:
    os.read(0, 1)  # nothing more comes: it returns when the launcher has ended, by SIGKILL too
    os._exit(1)


if __name__ == "__main__":
    main()
