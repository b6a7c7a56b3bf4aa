"""What needs no key and no other site: an overview at /, documentation at /docs and /redoc, and the page at /ui."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.routing import APIRoute
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from gan.serve import schemas
from gan.serve.routes import Router

PAGE = Path(__file__).parent.parent / "page"
TITLE = "MNIST GAN"
ICON = "assets/favicon.png"
REDOC_PICTURE = b"https://cdn.redoc.ly/redoc/logo-mini.svg"  # Redoc has no option to leave it out
router = Router()


def _policy(scripts: str = "", styles: str = "") -> dict[str, str]:
    """A Content-Security-Policy that allows nothing from other sites; other sites may not frame the pages either."""
    allowed = {
        "default-src": "'none'",
        "script-src": f"'self' {scripts}",
        "style-src": f"'self' {styles}",
        "img-src": "'self' data: blob:",
        "connect-src": "'self'",
        "worker-src": "blob:",  # Redoc's search
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'self'",
    }
    return {"Content-Security-Policy": "; ".join(f"{key} {value.strip()}" for key, value in allowed.items())}


def _inline_script(page: HTMLResponse) -> str:
    """The hash that allows the one inline script of a page."""
    (script,) = re.findall(rb"<script>(.*?)</script>", page.body, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"


@router.get("/docs", include_in_schema=False)
async def docs() -> Response:
    """Interactive documentation of these endpoints."""
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title=TITLE,
        swagger_js_url="assets/swagger-ui-bundle.js",
        swagger_css_url="assets/swagger-ui.css",
        swagger_favicon_url=ICON,
    )
    page.headers.update(_policy(scripts=_inline_script(page)))
    return page


@router.get("/redoc", include_in_schema=False)
async def redoc() -> Response:
    """Reference documentation of these endpoints."""
    page = get_redoc_html(
        openapi_url="openapi.json",
        title=TITLE,
        redoc_js_url="assets/redoc.standalone.js",
        redoc_favicon_url=ICON,
        with_google_fonts=False,
    )
    page.headers.update(_policy(styles="'unsafe-inline'"))  # its script adds style elements
    return page


@router.get("/")
async def overview(request: Request) -> schemas.Overview:
    """The service's name and its endpoints."""
    app, prefix = request.app, request.scope.get("root_path", "")
    endpoints = {
        f"{method.upper()} {prefix}{path}": operation["description"].partition("\n")[0]
        for path, operations in app.openapi()["paths"].items()
        for method, operation in operations.items()
    }
    shown = [route for route in router.routes if isinstance(route, APIRoute)]
    endpoints |= {f"GET {prefix}{route.path}": route.description for route in shown}
    if app.state.service.settings.ui:
        endpoints[f"GET {prefix}/ui/"] = "A page to generate digits with."
    return schemas.Overview(name=app.title, version=app.version, endpoints=endpoints)


class PageFiles(StaticFiles):
    """Files with the pages' policy, for which browsers ask each time: those of two versions do not mix."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        response = super().file_response(*args, **options)
        response.headers.update({**_policy(), "Cache-Control": "no-cache"})
        return response


def add_pages(app: FastAPI, ui: bool) -> None:
    """The overview and the documentation, and the page at /ui if the settings have it."""
    assets = PageFiles(packages=[("fastapi_offline", "static")])  # of Swagger UI and Redoc
    path, _ = assets.lookup_path("redoc.standalone.js")
    script = Path(path).read_bytes().replace(REDOC_PICTURE, b"data:,")

    def redoc_script(request: Request) -> Response:
        headers = {**_policy(), "Cache-Control": "public, max-age=86400"}
        return Response(script, media_type="text/javascript", headers=headers)

    app.include_router(router)
    app.add_route("/assets/redoc.standalone.js", redoc_script)
    app.mount("/assets", assets)
    if ui:
        app.add_route("/ui", lambda request: RedirectResponse("ui/"))  # relative, since it may be served under a path
        app.mount("/ui", PageFiles(directory=PAGE, html=True))
