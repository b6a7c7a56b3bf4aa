"""API keys and rate limits."""

import hashlib
import hmac
import math
import time
from collections.abc import Sequence
from typing import Annotated

import limits
from fastapi import Depends, HTTPException, Request, Security, params
from fastapi.security import APIKeyHeader

from gan.serve import schemas
from gan.serve.settings import Settings

HEADER = APIKeyHeader(name="X-API-Key", auto_error=False)


class RateLimit:
    """Limits the requests of each client, in a moving window. The count is of this process alone."""

    def __init__(self, rate: str) -> None:
        self.items = limits.parse_many(rate)
        self.limiter = limits.strategies.MovingWindowRateLimiter(limits.storage.MemoryStorage())

    async def __call__(self, request: Request) -> None:
        client = request.state.client
        for item in self.items:
            if not self.limiter.hit(item, client):
                wait = self.limiter.get_window_stats(item, client).reset_time - time.time()
                retry_after = str(max(1, math.ceil(wait)))
                raise HTTPException(429, f"The rate limit is {item}.", {"Retry-After": retry_after})


class KeyCheck:
    """Requires one of the keys in X-API-Key. From then on the key, not the address, names the client.

    Args:
        keys: the valid ones.
        rate_limit: also counts requests with a wrong key, by address.
    """

    def __init__(self, keys: Sequence[str], rate_limit: RateLimit | None) -> None:
        self.digests = [_digest(key.encode()) for key in keys]
        self.rate_limit = rate_limit

    async def __call__(self, request: Request, key: Annotated[str | None, Security(HEADER)]) -> None:
        digest = _digest((key or "").encode("latin-1"))
        matches = [hmac.compare_digest(digest, known) for known in self.digests]  # all of them: constant time
        if not any(matches):
            if self.rate_limit is not None:
                await self.rate_limit(request)
            detail = "The header X-API-Key must have a valid API key."
            raise HTTPException(401, detail, {"WWW-Authenticate": "X-API-Key"})
        request.state.client = f"key {digest.hex()[:8]}"


def access_checks(settings: Settings) -> tuple[list[params.Depends], dict]:
    """The checks before every request but the probes, and the error responses that they add to the schema."""
    checks: list[params.Depends] = []
    responses: dict = {}
    rate_limit = None if settings.rate_limit is None else RateLimit(settings.rate_limit)
    if settings.api_keys:
        checks.append(Security(KeyCheck(settings.api_keys, rate_limit)))
        responses |= schemas.UNAUTHORIZED
    if rate_limit is not None:
        checks.append(Depends(rate_limit))
        responses |= schemas.TOO_MANY_REQUESTS
    return checks, responses


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
