"""`gan train --multirun launcher=parallel`: several jobs at a time, which share the cores and GPUs of one machine."""

import contextlib
import logging
import os
import pickle
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence

import torch
from joblib import cpu_count

from gan.hardware import ON_CUDA
from gan.stop_signals import ended_by
from gan.sweeps.remote_job import RemoteJob, import_paths

POLL_SECONDS = 0.1
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)

log = logging.getLogger("gan")


def run_parallel(job: RemoteJob, batch: Sequence[Sequence[str]], first: int, n_jobs: int | None) -> None:
    """Runs jobs, numbered from `first`, in processes that share the cores or have a GPU each, and end with this one."""
    gpus = visible_gpus(job.config.trainer.accelerator)
    slots = min(n_jobs or len(gpus) or cpu_count(), len(batch))
    threads = max(1, cpu_count() // slots)
    log.info("%d jobs, %d at a time, threads of each: %d", len(batch), slots, threads)
    waiting = deque(enumerate(batch, first))
    running: dict[int, subprocess.Popen] = {}  # by slot
    with ended_by(*SIGNALS):
        try:
            while waiting or running:
                for slot in range(slots):
                    if slot in running and running[slot].poll() is not None:
                        del running[slot]
                    if waiting and slot not in running:
                        environment = {"OMP_NUM_THREADS": str(threads), **os.environ}  # the user's own has priority
                        if gpus:
                            environment["CUDA_VISIBLE_DEVICES"] = gpus[slot % len(gpus)]
                        number, overrides = waiting.popleft()
                        running[slot] = start((job, overrides, number), environment)
                time.sleep(POLL_SECONDS)
        finally:
            for process in running.values():
                process.terminate()
            for process in running.values():
                process.wait()  # it saves a checkpoint first; if this process is killed meanwhile, it ends at once


def visible_gpus(accelerator: str) -> list[str]:
    """Names of the GPUs that jobs will use, for CUDA_VISIBLE_DEVICES; none if they will use the CPU."""
    if accelerator not in ("auto", *ON_CUDA) or not torch.cuda.is_available():
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",") if visible else [str(index) for index in range(torch.cuda.device_count())]


def start(call: tuple[RemoteJob, Sequence[str], int], environment: dict[str, str]) -> subprocess.Popen:
    command = [sys.executable, "-m", "gan.sweeps.remote_job"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, env={**environment, **import_paths()})
    assert process.stdin is not None  # a pipe
    with contextlib.suppress(BrokenPipeError):  # it has ended already, and `run_parallel` will notice
        pickle.dump(call, process.stdin)
        process.stdin.flush()  # not closed: the job ends when this pipe is closed
    return process
