"""The endpoint / with a list of all others. It needs no key."""

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute

from gan.serve import published_schemas
from gan.serve.routes import pages

router = APIRouter()


@router.get("/")
async def overview(request: Request) -> published_schemas.Overview:
    """The service's name and its endpoints."""
    app, prefix = request.app, request.scope.get("root_path", "")
    endpoints = {
        f"{method.upper()} {prefix}{path}": operation["description"].partition("\n")[0]
        for path, operations in app.openapi()["paths"].items()
        for method, operation in operations.items()
    }
    shown = [route for route in pages.router.routes if isinstance(route, APIRoute)]
    endpoints |= {f"GET {prefix}{route.path}": route.description for route in shown}
    if app.state.service.settings.ui:
        endpoints[f"GET {prefix}/ui/"] = "A page to generate digits with."
    return published_schemas.Overview(name=app.title, version=app.version, endpoints=endpoints)
