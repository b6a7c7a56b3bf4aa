"""Who may ask, and how often."""

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


class KeyCheck:
    """Lets a request with one of the keys in X-API-Key pass; how long it takes does not tell how near a guess was."""

    def __init__(self, keys: Sequence[str], guesses: "RateLimit | None") -> None:
        self.digests = [_digest(key.encode()) for key in keys]
        self.guesses = guesses

    async def __call__(self, request: Request, given: Annotated[str | None, Security(HEADER)]) -> None:
        digest = _digest((given or "").encode("latin-1"))
        if not any([hmac.compare_digest(digest, known) for known in self.digests]):  # noqa: C419 (all are compared)
            if self.guesses is not None:
                await self.guesses(request)  # of an address
            raise HTTPException(401, "A key is needed in the header X-API-Key.", {"WWW-Authenticate": "X-API-Key"})
        request.state.client = f"key {digest.hex()[:8]}"


class RateLimit:
    """Counts what each key, or else each address, asks for in a moving window, in this process."""

    def __init__(self, rate: str) -> None:
        self.items = limits.parse_many(rate)
        self.limiter = limits.strategies.MovingWindowRateLimiter(limits.storage.MemoryStorage())

    async def __call__(self, request: Request) -> None:
        client = request.state.client
        for item in self.items:
            if not self.limiter.hit(item, client):
                wait = self.limiter.get_window_stats(item, client).reset_time - time.time()
                raise HTTPException(429, f"More than {item}.", {"Retry-After": str(max(1, math.ceil(wait)))})


def gate(settings: Settings) -> tuple[list[params.Depends], dict]:
    """The checks before each request that draws or tells of the models, and the answers they add to the schema."""
    checks: list[params.Depends] = []
    problems: dict = {}
    rate = None if settings.rate_limit is None else RateLimit(settings.rate_limit)
    if settings.api_keys:
        checks.append(Security(KeyCheck(settings.api_keys, guesses=rate)))
        problems |= schemas.KEY_PROBLEM
    if rate is not None:
        checks.append(Depends(rate))
        problems |= schemas.RATE_PROBLEM
    return checks, problems


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
