"""The work on jobs: one job at a time in one of the workers, its images generated behind all requests."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from gan.atomic_write import atomic_file, remove_temporary_files
from gan.errors import UserError
from gan.generate.array_files import ArrayFiles, write_archive
from gan.generate.modes import Samples
from gan.inference import CHUNK, chunks
from gan.serve.job_store import Job
from gan.serve.models import Model
from gan.serve.responses import write_zip
from gan.serve.settings import ModelSettings

if TYPE_CHECKING:
    from gan.serve.service import Service

log = logging.getLogger("gan.serve")
CHECK_SECONDS = 1.0
SHARD = 2_000  # images; a killed worker loses less than these
TURN = 32  # images at a time on a CPU: the longest that a request waits for a job


class JobStopped(Exception):  # noqa: N818
    """The service stops, and continues the job when it starts again; or the job was deleted."""


class JobSamples(Samples):
    """The samples of a job; `source` generates images start..stop-1 in turn with the requests."""

    source: Callable[[int, int], Iterator[Tensor]]

    def images(self, start: int, stop: int) -> Iterator[Tensor]:
        return self.source(start, stop)


async def work_on_jobs(service: "Service") -> None:
    """Deletes old jobs and does others, until the service stops."""
    loop, told, stopping = asyncio.get_running_loop(), "", service.stopping

    def wait(coroutine: Coroutine) -> Any:
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        while loop.is_running() and service.alive:
            with suppress(TimeoutError):
                return future.result(CHECK_SECONDS)
        raise JobStopped  # the service ended without a shutdown

    while not stopping.is_set():
        try:
            await asyncio.to_thread(_work, service, wait)
        except OSError as error:
            if str(error) != told:
                log.warning("jobs_dir=%s: %s", service.jobs.folder, error)
            told = str(error)
        with suppress(TimeoutError):
            async with asyncio.timeout(CHECK_SECONDS):
                await stopping.wait()


def _work(service: "Service", wait: Callable[[Coroutine], Any]) -> None:
    """Deletes old jobs; then does the oldest unfinished one, unless another worker is at work."""
    service.jobs.delete_expired()
    if not service.jobs.unfinished():
        return
    with suppress(Timeout), FileLock(service.jobs.folder / ".lock", blocking=False):
        for job in service.jobs.unfinished()[:1]:  # none if another worker has just done it
            finish(service, job, wait)


def finish(service: "Service", job: Job, wait: Callable[[Coroutine], Any]) -> None:
    """Generates a job's result and records its end, unless the service stops or the job is deleted."""
    log.info("job %s: %s images", job.id, f"{job.record.num_images:,}")
    failure = None
    try:
        remove_temporary_files(job.folder, job.shards)
        if not job.result.exists():  # else a worker was killed before it could record the end
            _generate(service, job, wait)
    except Exception as error:
        if isinstance(error, JobStopped | CancelledError) or not job.folder.exists():
            log.info("job %s: %s", job.id, "stopped" if job.folder.exists() else "deleted")
            return
        known = isinstance(error, UserError | OSError)
        log.warning("job %s: failed, %s", job.id, error, exc_info=None if known else error)
        failure = str(error) if known else "Internal error; the log of the service has more."
    with suppress(FileNotFoundError):  # it was deleted meanwhile
        job.end(failure)
        if failure is None:
            log.info("job %s: done", job.id)


def _generate(service: "Service", job: Job, wait: Callable[[Coroutine], Any]) -> None:
    """Writes the shards that are missing, then the result."""
    job.update(state="running")
    record, settings = job.record, service.settings
    file = next(job.folder.glob("model.*"))
    model = Model.open(record.model, ModelSettings(ckpt=str(file)), settings.device, settings.trust)
    turn = TURN if model.generator.device.type == "cpu" else CHUNK

    def generated(start: int, stop: int) -> Iterator[Tensor]:
        job.update(images_done=start)
        for span in chunks(start, stop, turn):
            if not job.folder.exists():
                raise JobStopped
            yield wait(service.sample_in_turn(model, samples, *span))

    def stored(start: int, stop: int) -> Iterator[Tensor]:
        for span in chunks(start, stop, SHARD):
            wait(service.turn())
            with np.load(shards.files(span)[-1]) as arrays:
                yield torch.from_numpy(arrays["images"])

    samples = JobSamples(model.generator, record.digits, record.seeds, record.truncation)
    samples.source = generated
    shards = ArrayFiles(samples, model.generator.image_channels, "npz", job.shards, "train")
    shards.write(0, record.num_images, SHARD, {"job": job.id}, overwrite=False, progress=False)
    job.update(images_done=record.num_images)
    images = stored(0, record.num_images)
    if record.format == "zip":
        with atomic_file(job.result) as result:
            write_zip(result, images, samples)
    else:
        arrays = ArrayFiles(samples, model.generator.image_channels, record.format, job.result, "train")
        write_archive(job.result, arrays.members(images, 0, record.num_images))
