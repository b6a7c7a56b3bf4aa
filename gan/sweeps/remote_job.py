"""A job in a process of its own: `python -m gan.sweeps.remote_job` reads a pickled job and its arguments from stdin."""

import os
import pickle
import sys
import threading
from collections.abc import Sequence

from hydra.core.utils import run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from gan.closed_output import outlive_reader


class RemoteJob:
    """Runs a job as Hydra's own launcher does, in the process that unpickles and calls it."""

    def __init__(self, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def __call__(self, overrides: Sequence[str], number: int) -> None:
        setup_globals()
        config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config.hydra.job):
            config.hydra.job.num = config.hydra.job.id = number
        run_job(
            hydra_context=self.hydra_context,
            task_function=self.task_function,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )


def import_paths() -> dict[str, str]:
    """The environment of a Python that imports what this one does: a `gan.py` in its folder must not come first."""
    return {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}


def main() -> None:
    outlive_reader()
    job, *arguments = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_launcher, daemon=True).start()
    try:
        job(*arguments)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _end_with_launcher() -> None:
    os.read(0, 1)  # stdin has nothing more, so this returns when the launcher ends, even by SIGKILL
    os._exit(1)


if __name__ == "__main__":
    main()
