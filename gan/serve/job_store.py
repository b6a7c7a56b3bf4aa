"""Jobs for many images: their folders, whose files are their state for all workers, and the room that there is.

`job_worker.py` generates the images of a job, and continues it after a restart.
"""

import os
import secrets
import shutil
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from fastapi import HTTPException
from filelock import FileLock
from pydantic import ValidationError

from gan.atomic_write import write_atomic
from gan.errors import UserError
from gan.generate.array_files import SETTINGS
from gan.serve import schemas
from gan.serve.models import Model, stamp
from gan.serve.settings import Settings

SHARD = 2_000  # images; a killed worker loses less than these
BYTES_BESIDE_PIXELS = 200  # of an image: its label, or its names in a zip file
RESULTS = {"npz": "digits.npz", "idx": "digits-idx.zip", "zip": "digits-png.zip"}


class JobRecord(schemas.JobRequest):
    """`job.json`. It never changes; the other files in its folder show the progress."""

    seeds: list[int]
    model: schemas.ModelName
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

    def __init__(self, folder: Path, keep_seconds: float) -> None:
        self.folder, self.id, self.keep_seconds = folder, folder.name, keep_seconds
        self.record = JobRecord.model_validate_json((folder / "job.json").read_bytes())
        self.result, self.error, self.shards = folder / RESULTS[self.record.format], folder / "error", folder / "shards"

    @property
    def ended_at(self) -> float | None:
        ended = _status(self.result) or _status(self.error)
        return ended and ended.st_mtime

    @property
    def expired(self) -> bool:
        """Whether it ended so long ago that it is deleted."""
        return self.ended_at is not None and time.time() > self.ended_at + self.keep_seconds

    def entry(self, url: str) -> schemas.JobEntry:
        """How far the job is, for its owner. `url`: where this can be asked again."""
        written: list[str] = []
        with suppress(FileNotFoundError):
            written = os.listdir(self.shards)
        record, done, failed = self.record, _status(self.result), _status(self.error)
        ended = done or failed
        error = None
        if failed and not done:
            with suppress(FileNotFoundError):  # it is being deleted
                error = self.error.read_text(encoding="utf-8")
        shards = sum(name.startswith("images-") for name in written)
        return schemas.JobEntry(
            **record.model_dump(exclude={"seed", "channels", "model_bytes", "owner"}),
            id=self.id,
            state="done" if done else "failed" if ended else "running" if SETTINGS in written else "queued",
            images_done=record.num_images if done else min(shards * SHARD, record.num_images),
            created_at=datetime.fromtimestamp(int(self.id[:16], 16) / 1e9, UTC),
            finished_at=datetime.fromtimestamp(ended.st_mtime, UTC) if ended else None,
            deleted_at=datetime.fromtimestamp(ended.st_mtime + self.keep_seconds, UTC) if ended else None,
            error=error,
            url=url,
            download=f"{url}/download" if done else None,
        )

    def delete(self) -> None:
        """Renames the folder first, so that no worker sees the job from then on; the one that works on it stops."""
        gone = self.folder.with_name(f".{self.id}")
        with suppress(FileNotFoundError):  # another worker was faster
            os.replace(self.folder, gone)
        shutil.rmtree(gone, ignore_errors=True)

    def keep_result_only(self) -> None:
        shutil.rmtree(self.shards, ignore_errors=True)
        for path in self.folder.glob("model.*"):
            path.unlink(missing_ok=True)


class Jobs:
    """The jobs of a service, in `jobs_dir`: all workers see them, and one of them works at a time."""

    def __init__(self, settings: Settings) -> None:
        assert settings.jobs_dir is not None  # else the service has no jobs
        self.settings, self.folder = settings, settings.jobs_dir.absolute()
        self.keep_seconds = settings.keep_jobs_hours * 3600

    def find(self, identifier: str) -> Job | None:
        """A job; None if there is none, such as one that was deleted, or one of another version."""
        with suppress(FileNotFoundError, NotADirectoryError, ValidationError):
            return self._job(identifier)
        return None

    def all(self) -> list[Job]:
        """All jobs, the oldest first."""
        names = sorted(path.parent.name for path in self.folder.glob("[0-9a-f]*/job.json"))
        return [job for name in names if (job := self.find(name)) is not None]

    def delete_expired(self) -> list[Job]:
        """Deletes jobs that ended long ago, and by their folders' age those of another version; returns the others."""
        jobs = self.all()
        expired, known = [job for job in jobs if job.expired], {job.id for job in jobs}
        for job in expired:
            job.delete()
        for folder in (path.parent for path in self.folder.glob("[0-9a-f]*/job.json")):
            status = None if folder.name in known else _status(folder)
            if status is not None and time.time() > status.st_mtime + self.keep_seconds:
                shutil.rmtree(folder, ignore_errors=True)
        return [job for job in jobs if job not in expired]

    def submit(self, request: schemas.JobRequest, model: Model, owner: str | None) -> Job:
        """Adds a job.

        Raises:
            UserError: a value that does not fit the model or the service.
            HTTPException: there is no room for the job, or the model's file is not the one that was loaded.
        """
        settings, seeds = self.settings, request.chosen_seeds()
        model.samples(seeds, request.digits)
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
        for path in self.folder.glob("." + 32 * "[0-9a-f]"):  # what a killed worker was adding or deleting
            shutil.rmtree(path, ignore_errors=True)
        jobs = self.all()
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
        return self._job(identifier)

    def _job(self, identifier: str) -> Job:
        return Job(self.folder / identifier, self.keep_seconds)


def _status(path: Path) -> os.stat_result | None:
    """Of a file that another worker may delete at any moment; None without it."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None
