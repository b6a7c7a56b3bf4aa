"""Hydra's launchers that run a sweep's jobs in other processes. The work is done in `gan.sweeps`.

Hydra looks for launchers in this namespace package only. It imports this file whenever a command starts, so everything
else is imported when a sweep runs. A job's outcome is in its folder, so `launch` returns nothing.
"""

from collections.abc import Sequence

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class ParallelLauncher(Launcher):
    """Several jobs at a time on this machine."""

    def __init__(self, n_jobs: int | None) -> None:
        self.n_jobs = n_jobs

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from gan.config.bounds import OPTIONAL
        from gan.sweeps.remote_job import RemoteJob

        OPTIONAL.require("hydra.launcher.n_jobs", self.n_jobs)
        self.job = RemoteJob(hydra_context, task_function, config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from gan.sweeps.parallel_jobs import run_parallel

        run_parallel(self.job, job_overrides, initial_job_idx, self.n_jobs)
        return []


class SlurmLauncher(Launcher):
    """Each job a SLURM job."""

    def __init__(
        self,
        array_parallelism: int,
        timeout_min: int,
        max_num_timeout: int,
        signal_delay_s: int,
        partition: str | None,
        cpus_per_task: int,
        gpus_per_node: int | None,
        sbatch: dict[str, str],
        setup: list[str],
        poll_seconds: float,
    ) -> None:
        self.max_num_timeout, self.poll_seconds = max_num_timeout, poll_seconds
        self.options = {
            "array_parallelism": array_parallelism,
            "time": timeout_min,
            "signal_delay_s": signal_delay_s,
            "partition": partition,
            "cpus_per_task": cpus_per_task,
            "gpus_per_node": gpus_per_node,
            "additional_parameters": dict(sbatch),
            "setup": list(setup),
        }

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from gan.sweeps.remote_job import RemoteJob
        from gan.sweeps.slurm_jobs import check

        check(config)
        self.job = RemoteJob(hydra_context, task_function, config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from gan.sweeps.slurm_jobs import run_on_slurm

        batch = self.job, job_overrides, initial_job_idx
        run_on_slurm(*batch, self.options, self.max_num_timeout, self.poll_seconds)
        return []
