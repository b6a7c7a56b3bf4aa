"""Jobs for many images: a folder for each, whose `job.json` all workers read, and the room that there is."""

import os
import secrets
import shutil
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fastapi import HTTPException
from filelock import FileLock
from pydantic import ValidationError

from gan.atomic_write import hindrance_to_writing, write_atomic
from gan.errors import UserError
from gan.idx_files import require_mnist_format
from gan.serve import schemas
from gan.serve.models import Model, stamp
from gan.serve.settings import Settings

BYTES_BESIDE_PIXELS = 200  # of an image: its label, or its names in a zip file
RESULTS = {"npz": "digits.npz", "idx": "digits-idx.zip", "zip": "digits-png.zip"}


class JobRecord(schemas.JobProgress):
    """`job.json`: how far a job is, whose it is, and its bytes: those it needs, then those of its result."""

    owner: str | None
    bytes: int


class Job:
    """A job's folder, with a copy of the model's file: neither a reload nor a restart changes an image."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.id = folder, folder.name
        self.record = JobRecord.model_validate_json((folder / "job.json").read_bytes())
        self.result, self.shards = folder / RESULTS[self.record.format], folder / "shards"

    def update(self, **changes: object) -> None:
        """Records what has changed: for the one worker that works on the job."""
        self.record = self.record.model_copy(update=changes)
        write_atomic(self.folder / "job.json", self.record.model_dump_json())

    def end(self, error: str | None = None) -> None:
        """Records the end, of a failure its reason, and keeps nothing but the result."""
        shutil.rmtree(self.shards, ignore_errors=True)
        for path in self.folder.glob("model.*"):
            path.unlink()
        state, size = ("done", self.result.stat().st_size) if error is None else ("failed", 0)
        self.update(state=state, error=error, bytes=size, finished_at=datetime.now(UTC))


def check_jobs_dir(folder: Path) -> None:
    """Raises a UserError unless jobs can be kept there. It is made when the first job comes."""
    if reason := hindrance_to_writing(folder.absolute()):
        raise UserError(f"jobs_dir={folder}: {reason}; jobs_dir=null serves without jobs")


class Jobs:
    """The jobs of a service, in `jobs_dir`: all workers see them, and one of them works at a time."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder = settings, folder.absolute()
        self.keep = timedelta(hours=settings.keep_jobs_hours)

    def find(self, identifier: str) -> Job | None:
        """A job; None if there is none, such as one that was deleted, or one of another version."""
        with suppress(FileNotFoundError, NotADirectoryError, ValidationError):
            return Job(self.folder / identifier)
        return None

    def all(self) -> list[Job]:
        """All jobs, the oldest first."""
        return [job for folder in self._folders() if (job := self.find(folder.name)) is not None]

    def unfinished(self) -> list[Job]:
        return [job for job in self.all() if job.record.finished_at is None]

    def delete(self, identifier: str) -> None:
        """Renames the folder first, so that no worker sees the job from then on; the one that works on it stops."""
        gone = self.folder / f".{identifier}"
        with suppress(FileNotFoundError):  # another worker was faster
            os.replace(self.folder / identifier, gone)
        shutil.rmtree(gone, ignore_errors=True)

    def delete_expired(self) -> None:
        """Deletes jobs that ended long ago, and by their folders' age those of another version."""
        for folder in self._folders():
            with suppress(FileNotFoundError):  # another worker was faster
                changed_at = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
                job = self.find(folder.name)
                ended_at = changed_at if job is None else job.record.finished_at
                if ended_at is not None and ended_at + self.keep < datetime.now(UTC):
                    self.delete(folder.name)

    def submit(self, request: schemas.JobRequest, model: Model, owner: str | None) -> Job:
        """Adds a job. A UserError for a wrong value, an HTTPException without room or if the model's file changed."""
        settings, seeds, count = self.settings, request.chosen_seeds(), request.num_images
        model.samples(seeds, request.digits)
        channels, num_classes = model.generator.image_channels, model.generator.num_classes
        if count > settings.max_job_images:
            raise UserError(f"num_images: {count} images, at most {settings.max_job_images} in a job")
        if request.format == "idx":
            require_mnist_format(channels, num_classes)
        record = JobRecord(
            **request.model_dump(include={"num_images", "format", "digits", "truncation"}),
            id=f"{time.time_ns():016x}{secrets.token_hex(8)}",
            state="queued",
            images_done=0,
            seeds=seeds,
            model=model.name,
            version=model.version,
            created_at=datetime.now(UTC),
            finished_at=None,
            error=None,
            owner=owner,
            bytes=model.stamp[-1] + 2 * count * (784 * channels + BYTES_BESIDE_PIXELS),  # at the end: shards and result
        )
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
        unfinished = sum(job.record.bytes for job in jobs if job.record.finished_at is None)
        kept = sum(job.record.bytes for job in jobs) - unfinished
        limit, free = self.settings.max_jobs_gb * 1e9, shutil.disk_usage(self.folder).free
        if record.bytes + unfinished > min(limit - kept, free):
            needs = f"This job needs {record.bytes / 1e9:.2f} GB on the disk, the other jobs have or need"
            limits = f"max_jobs_gb={self.settings.max_jobs_gb:g}, and {free / 1e9:.2f} GB are free"
            raise HTTPException(507, f"{needs} {(unfinished + kept) / 1e9:.2f}: {limits}.")

    def _add(self, record: JobRecord, model: Model) -> Job:
        file, folder = model.stamp[0], self.folder / f".{record.id}"
        folder.mkdir()
        with suppress(FileNotFoundError):
            shutil.copyfile(file, folder / f"model{file.suffix}")
            if stamp(file) == model.stamp:
                write_atomic(folder / "job.json", record.model_dump_json())
                return Job(folder.rename(self.folder / record.id))
        shutil.rmtree(folder)
        raise HTTPException(
            409, f"{file} has changed since model {model.name} was loaded from it; reload the model first."
        )

    def _folders(self) -> list[Path]:
        return sorted(path.parent for path in self.folder.glob("[0-9a-f]*/job.json"))
