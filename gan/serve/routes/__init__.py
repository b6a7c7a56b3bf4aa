"""The endpoints, a file per group: the pages, the probes, those of two published services, and /v1."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter


class Router(APIRouter):
    """A router of FastAPI whose GET routes answer HEAD too, as RFC 9110 asks (9.1). The schema leaves HEAD out."""

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().add_api_route(path, endpoint, **options)
        if "GET" in (options.get("methods") or []):
            head = options | {"methods": ["HEAD"], "include_in_schema": False}
            super().add_api_route(path, endpoint, **head)
