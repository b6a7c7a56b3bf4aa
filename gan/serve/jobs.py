"""Jobs: many images, generated one job at a time behind all requests. Their state is in files for all workers."""

import asyncio
import logging
import os
import secrets
import shutil
import time
import zipfile
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from fastapi import HTTPException
from filelock import FileLock, Timeout
from pydantic import ValidationError
from torch import Tensor

from gan.atomic_write import atomic_file, remove_temporary_files, write_atomic
from gan.errors import UserError
from gan.generate.array_files import SETTINGS, ArrayFiles, write_archive
from gan.generate.modes import Samples
from gan.inference import CHUNK, chunks
from gan.serve import schemas
from gan.serve.models import Model, stamp
from gan.serve.responses import add_pngs
from gan.serve.settings import ModelSettings, Settings

if TYPE_CHECKING:
    from gan.serve.service import Service

log = logging.getLogger("gan.serve")
CHECK_SECONDS = 1.0
SHARD = 2_000  # images; a killed worker loses less than these
TURN = 32  # images at a time on a CPU: the longest that a request waits for a job
BYTES_BESIDE_PIXELS = 200  # of an image: its label, or its names in a zip file
RESULTS = {"npz": "digits.npz", "idx": "digits-idx.zip", "zip": "digits-png.zip"}


class JobStopped(Exception):  # noqa: N818
    """The service stops, and continues the job when it starts again; or the job was deleted."""


class JobRecord(schemas.JobRequest):
    """`job.json`. It never changes: how far a job is can be seen by the other files in its folder."""

    seeds: list[int]
    version: str
    channels: int
    model_bytes: int
    owner: str | None

    @property
    def bytes_needed(self) -> int:
        """Of the model's copy, and at the end of the shards and the result together."""
        return self.model_bytes + 2 * self.num_images * (784 * self.channels + BYTES_BESIDE_PIXELS)


class Job:
    """A job's folder, with a copy of the model's file: neither a reload nor a restart changes an image."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.id = folder, folder.name
        self.record = JobRecord.model_validate_json((folder / "job.json").read_bytes())
        self.result, self.error, self.shards = folder / RESULTS[self.record.format], folder / "error", folder / "shards"

    @property
    def ended_at(self) -> float | None:
        ended = _status(self.result) or _status(self.error)
        return ended and ended.st_mtime

    def entry(self, keep_seconds: float) -> dict[str, Any]:
        """The fields of `schemas.JobEntry` but the links."""
        written: list[str] = []
        with suppress(FileNotFoundError):
            written = os.listdir(self.shards)
        record, ended, done = self.record, self.ended_at, self.result.exists()
        unfinished = "running" if SETTINGS in written else "queued"
        shards = sum(name.startswith("images-") for name in written)
        return {
            **record.model_dump(exclude={"seed", "channels", "model_bytes", "owner"}),
            "id": self.id,
            "state": "done" if done else "failed" if ended else unfinished,
            "images_done": record.num_images if done else min(shards * SHARD, record.num_images),
            "created_at": datetime.fromtimestamp(int(self.id[:16], 16) / 1e9, UTC),
            "finished_at": ended and datetime.fromtimestamp(ended, UTC),
            "deleted_at": ended and datetime.fromtimestamp(ended + keep_seconds, UTC),
            "error": self.error.read_text(encoding="utf-8") if ended and not done else None,
        }

    def delete(self) -> None:
        """From the first moment on, no worker sees the job; the one that works on it stops."""
        gone = self.folder.with_name(f".{self.id}")
        with suppress(FileNotFoundError):  # another worker was faster
            os.replace(self.folder, gone)
        shutil.rmtree(gone, ignore_errors=True)

    def keep_result_only(self) -> None:
        shutil.rmtree(self.shards, ignore_errors=True)
        for path in self.folder.glob("model.*"):
            path.unlink(missing_ok=True)


class JobSamples(Samples):
    """The samples of a job; `source` generates images start..stop-1 in turn with the requests."""

    source: Callable[[int, int], Iterator[Tensor]]

    def images(self, start: int, stop: int) -> Iterator[Tensor]:
        return self.source(start, stop)


class Jobs:
    """The jobs of a service, in `jobs_dir`: all workers see them, and one of them works at a time."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.folder = settings, settings.jobs_dir.absolute()
        self.keep_seconds = settings.keep_jobs_hours * 3600

    def jobs(self) -> list[Job]:
        """All jobs, the oldest first."""
        found = []
        for path in sorted(self.folder.glob("[0-9a-f]*/job.json")):
            with suppress(FileNotFoundError, ValidationError):  # deleted since, or of another version
                found.append(Job(path.parent))
        return found

    def submit(self, request: schemas.JobRequest, model: Model, owner: str | None) -> Job:
        """Adds a job.

        Raises:
            UserError: a value that does not fit the model or the service.
            HTTPException: there is no room for the job, or the model's file is not the one that was loaded.
        """
        settings, seeds = self.settings, request.chosen_seeds()
        model.require_conditional(request.digits)
        Samples(model.generator, request.digits, seeds)
        channels = model.generator.image_channels
        if request.num_images > settings.max_job_images:
            raise UserError(f"num_images: {request.num_images} images, at most {settings.max_job_images} in a job")
        if request.format == "idx" and channels != 1:
            raise UserError(f"format=idx: MNIST's files have one channel, this model has {channels}")
        given = request.model_dump() | {"seed": None, "seeds": seeds, "model": model.name, "version": model.version}
        record = JobRecord(**given, channels=channels, model_bytes=model.stamp[-1], owner=owner)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / ".submit.lock"):
                self._require_room(record)
                return self._add(record, model)
        except OSError as error:
            raise HTTPException(507, f"jobs_dir={self.folder}: {error.strerror or error}") from error

    def _require_room(self, record: JobRecord) -> None:
        for path in self.folder.glob(".*/"):  # what a killed worker was adding or deleting
            shutil.rmtree(path, ignore_errors=True)
        jobs = self.jobs()
        if len(jobs) >= self.settings.max_jobs:
            detail = f"There are {len(jobs)} jobs, with those that have ended: max_jobs={self.settings.max_jobs}. "
            raise HTTPException(503, detail + "Delete one, or try again later.", {"Retry-After": "60"})
        unfinished = sum(job.record.bytes_needed for job in jobs if job.ended_at is None)
        kept = sum(found.st_size for job in jobs if (found := _status(job.result)))
        limit, free = self.settings.max_jobs_gb * 1e9, shutil.disk_usage(self.folder).free
        if record.bytes_needed + unfinished > min(limit - kept, free):
            needs = f"This job needs {record.bytes_needed / 1e9:.2f} GB on the disk, the other jobs have or need"
            limits = f"max_jobs_gb={self.settings.max_jobs_gb:g}, and {free / 1e9:.2f} GB are free"
            raise HTTPException(507, f"{needs} {(unfinished + kept) / 1e9:.2f}: {limits}.")

    def _add(self, record: JobRecord, model: Model) -> Job:
        file = model.stamp[0]
        identifier = f"{time.time_ns():016x}{secrets.token_hex(8)}"
        folder = self.folder / f".{identifier}"
        folder.mkdir()
        try:
            shutil.copyfile(file, folder / f"model{file.suffix}")
            unchanged = stamp(file) == model.stamp
        except FileNotFoundError:
            unchanged = False
        if not unchanged:
            shutil.rmtree(folder)
            detail = f"{file} has changed since model {model.name} was loaded from it; reload the model first."
            raise HTTPException(409, detail)
        write_atomic(folder / "job.json", record.model_dump_json())
        os.replace(folder, self.folder / identifier)
        return Job(self.folder / identifier)

    async def run(self, service: "Service", stopping: asyncio.Event) -> None:
        """Works on the jobs until the service stops."""
        loop, told = asyncio.get_running_loop(), ""

        def wait(coroutine: Awaitable) -> Any:
            return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

        while not stopping.is_set():
            try:
                await asyncio.to_thread(self.work, service, wait)
            except OSError as error:
                if str(error) != told:
                    log.warning("jobs_dir=%s: %s", self.folder, error)
                told = str(error)
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_SECONDS):
                    await stopping.wait()

    def work(self, service: "Service", wait: Callable[[Awaitable], Any]) -> None:
        """Deletes old jobs; then does the oldest unfinished one, unless another worker is at work.

        Args:
            wait: awaits something in the event loop, from this thread.
        """
        jobs = self.jobs()
        for job in jobs:
            if (ended := job.ended_at) is not None and time.time() > ended + self.keep_seconds:
                job.delete()
        if all(job.ended_at for job in jobs):
            return
        with suppress(Timeout), FileLock(self.folder / ".lock", blocking=False):
            for job in self.jobs():
                if job.ended_at is None:
                    return self._finish(job, service, wait)
                job.keep_result_only()

    def _finish(self, job: Job, service: "Service", wait: Callable[[Awaitable], Any]) -> None:
        log.info("job %s: %s images", job.id, f"{job.record.num_images:,}")
        try:
            self._generate(job, service, wait)
            job.keep_result_only()
            log.info("job %s: done", job.id)
        except (JobStopped, CancelledError):  # the second one: the event loop ended without a shutdown
            log.info("job %s: stopped", job.id)
        except Exception as error:
            if not job.folder.exists():
                log.info("job %s: deleted", job.id)
                return
            known = isinstance(error, UserError | OSError)
            log.warning("job %s: failed, %s", job.id, error, exc_info=None if known else error)
            job.keep_result_only()
            write_atomic(job.error, str(error) if known else "Internal error; the log of the service has more.")

    def _generate(self, job: Job, service: "Service", wait: Callable[[Awaitable], Any]) -> None:
        """Writes the shards that are missing, then the result."""
        record = job.record
        remove_temporary_files(job.folder)
        file = next(job.folder.glob("model.*"))
        spec = ModelSettings(ckpt=str(file), version=record.version.rpartition("+")[0] or None)
        model = Model.open(record.model, spec, self.settings.device, self.settings.trust)

        turn = TURN if model.generator.device.type == "cpu" else CHUNK

        def generated(start: int, stop: int) -> Iterator[Tensor]:
            for span in chunks(start, stop, turn):
                if not job.folder.exists():
                    raise JobStopped
                yield wait(service.sample_in_turn(model, samples, *span))

        def stored(start: int, stop: int) -> Iterator[Tensor]:
            for span in chunks(start, stop, SHARD):
                with np.load(shards.files(span)[-1]) as arrays:
                    images = torch.from_numpy(arrays["images"])
                for piece in images.split(turn):
                    wait(service.turn())
                    yield piece

        samples = JobSamples(model.generator, record.digits, record.seeds, record.truncation)
        samples.source = generated
        shards = ArrayFiles(samples, record.channels, "npz", job.shards, "train")
        shards.write(0, record.num_images, SHARD, {"job": job.id}, overwrite=False, progress=False)
        images = stored(0, record.num_images)
        if record.format == "zip":
            _write_pngs(job.result, samples, images)
        else:
            arrays = ArrayFiles(samples, record.channels, record.format, job.result, "train")
            write_archive(job.result, arrays.members(images, 0, record.num_images))


def _status(path: Path) -> os.stat_result | None:
    """Of a file that another worker may delete at any moment; None without it."""
    with suppress(FileNotFoundError):
        return path.stat()


def _write_pngs(path: Path, samples: Samples, pieces: Iterable[Tensor]) -> None:
    with atomic_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        start = 0
        for images in pieces:
            stop = start + len(images)
            digits = samples.labels(start, stop).tolist() if samples.labelled else None
            add_pngs(archive, images, [samples.seed_of(index) for index in range(start, stop)], digits, start)
            start = stop
