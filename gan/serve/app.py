"""The service as an ASGI application: `create_app(settings)`."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.staticfiles import StaticFiles

from gan.errors import UserError
from gan.serve.access import gate
from gan.serve.batching import QueueFullError
from gan.serve.middleware import Bounds, Observe, problem
from gan.serve.prometheus import SHARED
from gan.serve.responses import DRAWN_HEADERS
from gan.serve.routes import operation, published, v1
from gan.serve.service import Service
from gan.serve.settings import Settings

PAGE = Path(__file__).parent / "page"
SETTINGS = "GAN_SERVE_SETTINGS"


def create_app(settings: Settings, shared: Path | None = None) -> FastAPI:
    """The application; its models are loaded when it is started.

    Args:
        settings: of the whole service.
        shared: see `Service`.
    """
    service = Service(settings, shared)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    app = FastAPI(
        title="MNIST GAN",
        version=version("mnist-gan"),
        description="Handwritten digits, drawn by a generative adversarial network.",
        lifespan=lifespan,
    )
    app.state.service = service
    checks, problems = gate(settings)
    app.include_router(operation.router)
    for router in (published.router, v1.router):
        app.include_router(router, dependencies=checks, responses=problems)
    if settings.ui:
        app.mount("/ui", StaticFiles(directory=PAGE, html=True))
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(UserError, _mistaken)
    app.add_exception_handler(QueueFullError, _full)
    app.add_exception_handler(HTTPException, _refused)
    bounds = {"max_body_bytes": settings.max_body_bytes, "max_requests": settings.max_requests}
    app.add_middleware(Bounds, timeout=settings.request_timeout, **bounds)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Content-Type", "X-API-Key", "X-Request-ID"],
            expose_headers=[*DRAWN_HEADERS, "Retry-After"],
        )
    app.add_middleware(Observe)
    return app


def from_environment() -> FastAPI:
    """The application of a worker process, which `gan serve` told its settings."""
    shared = os.environ.get(SHARED)
    return create_app(Settings.model_validate_json(os.environ[SETTINGS]), None if shared is None else Path(shared))


async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    """What is wrong, without what was sent: that may be nothing that JSON can say."""
    errors = [{"loc": list(each["loc"]), "msg": each["msg"], "type": each["type"]} for each in error.errors()]
    first = errors[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    kind = request.headers.get("content-type", "none")
    if first["type"] == "json_invalid":
        return JSONResponse({"detail": "The body is no JSON text.", "errors": errors}, 422)
    if list(first["loc"]) == ["body"] and "json" not in kind:
        detail = f"The body is JSON, with Content-Type: application/json; this one's is {kind[:64]}."
        return JSONResponse({"detail": detail, "errors": errors}, 422)
    return JSONResponse({"detail": f"{where}: {first['msg']}" if where else first["msg"], "errors": errors}, 422)


async def _mistaken(request: Request, error: UserError) -> JSONResponse:
    return problem(422, str(error))


async def _full(request: Request, error: QueueFullError) -> JSONResponse:
    return problem(503, "Too many images are waiting to be drawn; try again soon.", **{"Retry-After": "1"})


async def _refused(request: Request, error: HTTPException) -> JSONResponse:
    return problem(error.status_code, error.detail, **(error.headers or {}))
