"""Who may ask: API keys, and the checks before every request."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, HTTPException, Request, Security, params
from fastapi.security import APIKeyHeader

from gan.serve import schemas
from gan.serve.rate_limit import RateLimit
from gan.serve.settings import Settings

HEADER = APIKeyHeader(name="X-API-Key", auto_error=False)


class KeyCheck:
    """Requires one of the keys in X-API-Key. From then on the key, not the address, names the client.

    Args:
        keys: the valid ones.
        rate_limit: also counts requests with a wrong key, by address.
    """

    def __init__(self, keys: Sequence[str], rate_limit: RateLimit | None) -> None:
        self.digests = [hashlib.sha256(key.encode()).digest() for key in keys]
        self.rate_limit = rate_limit

    async def __call__(self, request: Request, key: Annotated[str | None, Security(HEADER)]) -> None:
        digest = hashlib.sha256((key or "").encode("latin-1")).digest()
        matches = [hmac.compare_digest(digest, known) for known in self.digests]  # all of them: constant time
        if not any(matches):
            if self.rate_limit is not None:
                await self.rate_limit(request)
            detail = "The header X-API-Key must have a valid API key."
            raise HTTPException(401, detail, {"WWW-Authenticate": "X-API-Key"})
        request.state.client = f"key {digest.hex()[:8]}"


def access_checks(settings: Settings) -> tuple[list[params.Depends], schemas.Responses]:
    """The checks before every request but the probes, and the error responses that they add to the schema."""
    checks: list[params.Depends] = []
    responses: schemas.Responses = {}
    rate_limit = None if settings.rate_limit is None else RateLimit(settings.rate_limit, settings.rate_limit_storage)
    if settings.api_keys:
        checks.append(Security(KeyCheck(settings.api_keys, rate_limit)))
        responses |= schemas.errors({401: "X-API-Key has no valid API key"})
    if rate_limit is not None:
        checks.append(Depends(rate_limit))
        responses |= schemas.errors({429: "Over the rate limit; see Retry-After"})
    return checks, responses
