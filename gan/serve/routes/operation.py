"""What those who run the service ask it: is it alive, is it ready, what has it done. No key is needed."""

from importlib.metadata import version

from fastapi import APIRouter, HTTPException, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool

from gan.serve import schemas
from gan.serve.prometheus import exposition
from gan.serve.service import ServiceOf

router = APIRouter(tags=["operation"])
PROBES = ("/livez", "/readyz", "/health", "/metrics")
ENDPOINTS = {
    "GET /": "this overview",
    "GET /health": "whether a model is loaded",
    "GET /info": "the default model",
    "POST /generate": "images as base64",
    "POST /generate/image": "a PNG file",
    "POST /generate-digit": "a digit of a seed",
    "POST /generate-digits-batch": "up to 64 digits, or a grid of them",
    "GET /gan-model-info": "the default model, by another system's names",
    "POST /v1/generate": "digits, seeds, truncation; JSON, grid, zip or npy",
    "POST /v1/interpolate": "a way between seeds and digits, GIF or frames",
    "GET /v1/models": "all models and their versions",
    "POST /v1/models/{name}/reload": "load a model's file again",
    "GET /livez": "liveness",
    "GET /readyz": "readiness",
    "GET /metrics": "for Prometheus",
    "GET /docs": "documentation of all of it",
}
UNWELL = {503: {"model": schemas.Problem, "description": "It is not"}}


@router.get("/")
async def overview(service: ServiceOf) -> schemas.Overview:
    """The service's name and its endpoints."""
    page = {"GET /ui/": "a page to draw digits with"} if service.settings.ui else {}
    return schemas.Overview(name="MNIST GAN", version=version("mnist-gan"), endpoints=ENDPOINTS | page)


@router.head("/health", include_in_schema=False)
@router.get("/health")
async def health(service: ServiceOf) -> schemas.Health:
    """Whether a model is loaded."""
    return schemas.Health(status="healthy", model_loaded=service.models is not None)


@router.head("/livez", include_in_schema=False)
@router.get("/livez", responses=UNWELL)
async def livez(service: ServiceOf) -> schemas.Readiness:
    """Whether the process works; one that does not should be started again."""
    if not service.alive:
        raise HTTPException(503, "What draws has ended.")
    return schemas.Readiness(status="alive")


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", responses=UNWELL)
async def readyz(service: ServiceOf) -> schemas.Readiness:
    """Whether requests should be sent here: from the loading of the models until the service is told to end."""
    if service.state != "ready":
        raise HTTPException(503, f"The service is {service.state}.", {"Retry-After": "1"})
    return schemas.Readiness(status="ready")


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics() -> Response:
    """Counts and times, of all workers together, in Prometheus' format."""
    return Response(await run_in_threadpool(exposition), media_type=CONTENT_TYPE_LATEST)
