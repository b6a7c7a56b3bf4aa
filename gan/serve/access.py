"""Who may ask: API keys, and the checks before every request."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from fastapi import HTTPException, Request, Response, Security, params
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader

from gan.serve import schemas
from gan.serve.rate_limit import RateLimit
from gan.serve.settings import Settings

HEADER = APIKeyHeader(name="X-API-Key", auto_error=False)
Check = Callable[[Request], Awaitable[None]]


class CheckedRoute(APIRoute):
    """A route that asks the checks in `app.state.checks` first, before anything of the request is read or judged."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def checked(request: Request) -> Response:
            for check in request.app.state.checks:
                await check(request)
            return await handler(request)

        return checked


class KeyCheck:
    """Requires one of the keys in X-API-Key. From then on the key, not the address, names the client.

    Args:
        keys: the valid ones.
        rate_limit: also counts requests with a wrong key, by address.
    """

    def __init__(self, keys: Sequence[str], rate_limit: RateLimit | None) -> None:
        self.digests = [hashlib.sha256(key.encode()).digest() for key in keys]
        self.rate_limit = rate_limit

    async def __call__(self, request: Request) -> None:
        digest = hashlib.sha256(request.headers.get(HEADER.model.name, "").encode("latin-1")).digest()
        matches = [hmac.compare_digest(digest, known) for known in self.digests]  # all of them: constant time
        if not any(matches):
            if self.rate_limit is not None:
                await self.rate_limit(request)
            detail = "The header X-API-Key must have a valid API key."
            raise HTTPException(401, detail, {"WWW-Authenticate": "X-API-Key"})
        request.state.client = f"key {digest.hex()[:8]}"


def access_checks(settings: Settings) -> tuple[list[Check], dict[str, Any]]:
    """The checks before every request but the probes, and what they add to the schema, for `include_router`."""
    checks: list[Check] = []
    security: list[params.Depends] = []
    responses: schemas.Responses = {}
    rate_limit = None if settings.rate_limit is None else RateLimit(settings.rate_limit, settings.rate_limit_storage)
    if settings.api_keys:
        checks.append(KeyCheck(settings.api_keys, rate_limit))
        security.append(Security(HEADER))
        responses |= schemas.errors({401: "X-API-Key has no valid API key"})
    if rate_limit is not None:
        checks.append(rate_limit)
        responses |= schemas.errors({429: "Over the rate limit; see Retry-After"})
    return checks, {"dependencies": security, "responses": schemas.ERRORS | responses}
