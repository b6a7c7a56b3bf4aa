"""Jobs: POST /v1/jobs for many images, their progress, and the download of a result."""

from typing import Annotated

from fastapi import Depends, HTTPException, Path, Request, Response
from starlette.responses import FileResponse

from gan.serve import schemas
from gan.serve.access import CheckedRoute
from gan.serve.job_store import Job
from gan.serve.routes import Router
from gan.serve.routes.v1 import check_query
from gan.serve.service import service_of

router = Router(route_class=CheckedRoute, prefix="/v1/jobs", tags=["jobs"], dependencies=[Depends(check_query)])
MISSING = schemas.errors({404: "There is no such job"})
SUBMITTED = {202: {"headers": {"Location": {"schema": {"type": "string"}}}}} | schemas.errors(
    {409: "The model's file has changed since it was loaded", 507: "The disk has no room for the job"}
)
FILE: schemas.Responses = {200: {"content": {"application/octet-stream": {}, "application/zip": {}}}}
DOWNLOAD = FILE | MISSING | schemas.errors({409: "The job is not done"})


def _owner(request: Request) -> str | None:
    """The name of the API key, if the service needs one: then each job is that key's alone."""
    return request.state.client if service_of(request).settings.api_keys else None


def _job(request: Request, identifier: str = Path(pattern="^[0-9a-f]{32}$")) -> Job:
    job = service_of(request).jobs.find(identifier)
    if job is not None and job.record.owner == _owner(request):
        return job
    raise _missing(identifier)


def _missing(identifier: str) -> HTTPException:
    return HTTPException(404, f"There is no job {identifier}.")


JobDep = Annotated[Job, Depends(_job)]


@router.post("", status_code=202, responses=SUBMITTED)
def submit(request: Request, response: Response, body: schemas.JobRequest) -> schemas.JobEntry:
    """Queues a job of many images. Jobs run one at a time, behind all other requests.

    The images are those of /v1/generate and `gan generate` for the same values.
    """
    service = service_of(request)
    model = service.models.pick(body.model, body.version, body.digits)
    entry = _entry(request, service.jobs.submit(body, model, _owner(request)))
    response.headers["Location"] = entry.url
    return entry


@router.get("")
def jobs(request: Request) -> schemas.JobList:
    """All jobs, the oldest first; with API keys, only the caller's."""
    owner = _owner(request)
    own = [job for job in service_of(request).jobs.all() if job.record.owner == owner]
    return schemas.JobList(jobs=[_entry(request, job) for job in own])


@router.get("/{identifier}", responses=MISSING)
def progress(request: Request, job: JobDep) -> schemas.JobEntry:
    """A job's state and progress."""
    return _entry(request, job)


@router.delete("/{identifier}", status_code=204, response_class=Response, responses=MISSING)
def cancel(request: Request, job: JobDep) -> None:
    """Cancels a job, or deletes one that has ended, with its files."""
    service_of(request).jobs.delete(job.id)


@router.get("/{identifier}/download", response_class=FileResponse, responses=DOWNLOAD)
def download(job: JobDep) -> FileResponse:
    """The result of a job that is done. Range requests resume an interrupted download."""
    try:
        found = job.result.stat()
    except FileNotFoundError:
        if job.record.state == "done":  # it was deleted since its record was read
            raise _missing(job.id) from None
        raise HTTPException(409, f"Job {job.id} {'has failed' if job.record.error else 'is not done yet'}.") from None
    media_type = "application/zip" if job.result.suffix == ".zip" else "application/octet-stream"
    headers = {"Cache-Control": "private, no-cache"}  # a shared cache would keep it beyond its key and its deletion
    return FileResponse(job.result, headers=headers, filename=job.result.name, media_type=media_type, stat_result=found)


def _entry(request: Request, job: Job) -> schemas.JobEntry:
    """What the owner of a job sees."""
    record, url = job.record, request.url_for("progress", identifier=job.id).path
    return schemas.JobEntry(
        **record.model_dump(exclude={"owner", "bytes"}),
        expires_at=record.finished_at and record.finished_at + service_of(request).jobs.keep,
        url=url,
        download=f"{url}/download" if record.state == "done" else None,
    )
