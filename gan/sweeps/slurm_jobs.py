"""`gan train --multirun launcher=slurm`: the jobs of a sweep as a SLURM array, through submitit."""

import logging
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from submitit import SlurmExecutor
from submitit.core.utils import FailedJobError
from submitit.helpers import Checkpointable

from gan.config.allowed import COUNT, SIZE, Allowed, Number, Text
from gan.errors import UserError, joined
from gan.sweeps.remote_job import RemoteJob, import_paths

# Since SLURM 22.05, srun does not take over the number of cores of its job.
SETUP = "export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK"
BOUNDS: dict[str, Allowed] = {
    "array_parallelism": COUNT,
    "timeout_min": COUNT,
    "max_num_timeout": SIZE,
    "signal_delay_s": SIZE,
    "cpus_per_task": COUNT,
    "partition": Text(optional=True),
    "poll_seconds": Number(above=0),
}

log = logging.getLogger("gan")


class SlurmJob(Checkpointable, RemoteJob):
    """A job that submitit queues again after preemption; it resumes from its last checkpoint."""


def check(config: DictConfig) -> None:
    """Raises a UserError for a wrong value, or if SLURM cannot be reached, or has jobs of an earlier start left."""
    launcher = config.hydra.launcher
    for key, allowed in BOUNDS.items():
        allowed.require(f"hydra.launcher.{key}", launcher[key])
    if not OmegaConf.is_dict(launcher.sbatch):
        raise UserError(f"hydra.launcher.sbatch={launcher.sbatch}: a mapping, such as {{account: me}}")
    if not OmegaConf.is_list(launcher.setup):
        raise UserError(f"hydra.launcher.setup={launcher.setup}: a list of lines of shell")
    for command in ("sbatch", "squeue", "scontrol"):
        if shutil.which(command) is None:
            raise UserError(f"launcher=slurm: there is no {command} here; start the sweep on a machine of the cluster")
    if "%" in str(_folder(config)):
        raise UserError(f"launcher=slurm: {_folder(config).parent}: SLURM replaces % in paths; choose one without it")
    queue = _queue()
    earlier = {path.name.partition("_")[0] for path in _folder(config).glob("[0-9]*")}
    if still := " ".join(sorted(earlier & queue)):
        raise UserError(f"sweep_name={config.sweep_name}: SLURM still has its jobs {still}; wait, or `scancel {still}`")


def run_on_slurm(
    job: RemoteJob,
    batch: Sequence[Sequence[str]],
    first: int,
    options: Mapping[str, Any],
    max_num_timeout: int,
    poll_seconds: float,
) -> None:
    """Submits jobs, numbered from `first`, and waits until none is in the queue: this needs no accounting (`sacct`)."""
    executor = SlurmExecutor(_folder(job.config) / "%j", max_num_timeout)
    given = {name: value for name, value in options.items() if value is not None}
    imports = shlex.join(f"{name}={value}" for name, value in import_paths().items())
    given["setup"] = [SETUP, f"export {imports}", *given["setup"]]
    executor.update_parameters(job_name=f"gan_{job.config.sweep_name}", **given)
    try:
        jobs = executor.map_array(job, batch, range(first, first + len(batch)))
    except FailedJobError as error:
        raise UserError(f"launcher=slurm: sbatch failed: {joined(error)}") from error
    ids = {job.job_id.partition("_")[0] for job in jobs}
    log.info("SLURM jobs %s; their output is in %s", " ".join(sorted(ids)), _folder(job.config))
    try:
        while _are_queued(ids):
            time.sleep(poll_seconds)
    except KeyboardInterrupt:
        log.info("the jobs continue without this process; `scancel %s` ends them", " ".join(sorted(ids)))
        raise


def _are_queued(ids: set[str]) -> bool:
    try:
        return bool(ids & _queue())
    except UserError as error:  # SLURM may answer the next time
        log.warning("%s", error)
        return True


def _folder(config: DictConfig) -> Path:
    return Path(config.hydra.sweep.dir).absolute() / ".submitit"


def _queue() -> set[str]:
    """Ids of the user's pending and running SLURM jobs, one for each array; a UserError if squeue does not say."""
    # Not --me, which squeue before SLURM 20.02 does not know.
    command = ["squeue", f"--user={os.getuid()}", "--noheader", "--format=%F"]
    answer = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    if answer.returncode != 0:
        words = joined(answer.stderr or answer.stdout) or f"exit status {answer.returncode}"
        raise UserError(f"launcher=slurm: `{shlex.join(command)}` failed: {words}")
    return set(answer.stdout.split())
