"""Liveness, readiness, health and metrics, for whoever operates the service. They need no key and have no limits."""

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool

from gan.serve import schemas
from gan.serve.prometheus import exposition
from gan.serve.routes import Router
from gan.serve.service import service_of

router = Router(tags=["probes"])


@router.get("/health")
async def health() -> schemas.Health:
    """Whether a model is loaded."""
    return schemas.Health(status="healthy", model_loaded=True)  # uvicorn does not listen before


@router.get("/livez", responses=schemas.errors({503: "The worker must be restarted"}))
async def livez(request: Request) -> schemas.ProbeStatus:
    """Liveness: whether the worker can generate images. One that cannot must be restarted."""
    if not service_of(request).alive:
        raise HTTPException(503, "The batching task has stopped.")
    return schemas.ProbeStatus(status="alive")


@router.get("/readyz", responses=schemas.errors({503: "The worker is not ready"}))
async def readyz(request: Request) -> schemas.ProbeStatus:
    """Readiness: whether the worker takes requests, from when its models are loaded until it is told to stop."""
    if service_of(request).draining:
        raise HTTPException(503, "The service is draining.", {"Retry-After": "1"})
    return schemas.ProbeStatus(status="ready")


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics() -> Response:
    """Metrics of all workers together, in the Prometheus text format."""
    return Response(await run_in_threadpool(exposition), media_type=CONTENT_TYPE_LATEST)


PATHS = {route.path for route in router.routes if isinstance(route, APIRoute)}
