"""API keys and rate limits."""

import hashlib
import hmac
import logging
import math
import time
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

import limits
from fastapi import Depends, HTTPException, Request, Security, params
from fastapi.security import APIKeyHeader
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError

from gan.errors import UserError, check_installed
from gan.serve import schemas
from gan.serve.settings import Settings

HEADER = APIKeyHeader(name="X-API-Key", auto_error=False)
REDIS_TIMEOUTS = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0}  # seconds
ASK_AGAIN_SECONDS = 5.0

log = logging.getLogger("gan.serve")


class RateLimit:
    """Limits the requests of each client, in a moving window.

    Args:
        rate: such as 60/minute.
        storage: memory: this process counts alone; or the address of a Redis server, where all workers and replicas
            count together. While Redis cannot be reached, each worker counts alone, and the log says so.
    """

    def __init__(self, rate: str, storage: str = "memory") -> None:
        self.items = limits.parse_many(rate)
        self.own = MovingWindowRateLimiter(MemoryStorage())
        self.shared = None if storage == "memory" else MovingWindowRateLimiter(_redis_storage(storage))
        self.ask_again_at = 0.0

    async def __call__(self, request: Request) -> None:
        if self.shared is not None and time.monotonic() >= self.ask_again_at:
            try:
                return await self._count(self.shared, request.state.client)
            except StorageError as error:
                if time.monotonic() >= self.ask_again_at:  # the first of the requests that found out
                    log.warning("rate_limit_storage: each worker counts alone for now (%s)", error.storage_error)
                self.ask_again_at = time.monotonic() + ASK_AGAIN_SECONDS
        await self._count(self.own, request.state.client)

    async def _count(self, limiter: MovingWindowRateLimiter, client: str) -> None:
        for item in self.items:
            if not await limiter.hit(item, client):
                seconds = (await limiter.get_window_stats(item, client)).reset_time - time.time()
                retry_after = str(max(1, math.ceil(seconds)))
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


def check_rate_limit_storage(settings: Settings) -> None:
    """Raises a UserError unless the server that counts requests responds."""
    if settings.rate_limit is None or settings.rate_limit_storage == "memory":
        return
    key = "rate_limit_storage"  # without its value, which may have a password
    check_installed(key, "redis", "redis")
    import redis

    try:
        with redis.Redis.from_url(settings.rate_limit_storage, **REDIS_TIMEOUTS) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        host = urlsplit(settings.rate_limit_storage).hostname
        raise UserError(f"{key}: Redis at {host} does not respond ({error})") from error


def _redis_storage(address: str) -> RedisStorage:
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    once = Retry(NoBackoff(), 1)  # a connection may be older than the server's last start
    options: dict[str, Any] = {"implementation": "redispy", "wrap_exceptions": True, "retry": once, **REDIS_TIMEOUTS}
    return RedisStorage(f"async+{address}", **options)


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
