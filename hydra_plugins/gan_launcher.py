"""Launchers of a sweep's jobs. Hydra looks for them in this package only, and imports it whenever a command starts."""

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
        from gan.config.allowed import OPTIONAL_COUNT
        from gan.sweeps.remote_job import RemoteJob

        OPTIONAL_COUNT.require("hydra.launcher.n_jobs", self.n_jobs)
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
        from gan.errors import check_installed

        check_installed("launcher=slurm", "slurm", "submitit")
        from gan.sweeps.slurm_jobs import SlurmJob, check

        check(config)
        self.job = SlurmJob(hydra_context, task_function, config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from gan.sweeps.slurm_jobs import run_on_slurm

        run_on_slurm(self.job, job_overrides, initial_job_idx, self.options, self.max_num_timeout, self.poll_seconds)
        return []
