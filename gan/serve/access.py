"""Who may ask, and how often: API keys and the rate limit, checked before every request but the probes."""

import hashlib
import hmac
import logging
import math
import time
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

import limits
from fastapi import HTTPException, Request, Response, Security
from fastapi.routing import APIRoute
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


class CheckedRoute(APIRoute):
    """A route that asks `app.state.access` first, before anything of the request is read or judged."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def checked(request: Request) -> Response:
            await request.app.state.access.check(request)
            return await handler(request)

        return checked


class Access:
    """The checks of a service. A client is its address or, where keys are needed, its valid key."""

    def __init__(self, settings: Settings) -> None:
        self.digests = [hashlib.sha256(key.encode()).digest() for key in settings.api_keys]
        rate, storage = settings.rate_limit, settings.rate_limit_storage
        self.rate_limit = None if rate is None else RateLimit(rate, storage)

    def described(self) -> dict[str, Any]:
        """What the checks add to the schema, for `include_router`."""
        refused: dict[int, str] = {}
        if self.digests:
            refused[401] = "X-API-Key has no valid API key"
        if self.rate_limit is not None:
            refused[429] = "Over the rate limit; see Retry-After"
        dependencies = [Security(HEADER)] if self.digests else []
        return {"dependencies": dependencies, "responses": schemas.ERRORS | schemas.errors(refused)}

    async def check(self, request: Request) -> None:
        """Raises an HTTPException without a valid key or above the rate limit. A valid key names the client."""
        known = not self.digests
        if self.digests:
            digest = hashlib.sha256(request.headers.get(HEADER.model.name, "").encode("latin-1")).digest()
            known = sum(hmac.compare_digest(digest, each) for each in self.digests) > 0  # all of them: constant time
            if known:
                request.state.client = f"key {digest.hex()[:8]}"
        if self.rate_limit is not None and (refusal := await self.rate_limit.count(request.state.client)):
            raise refusal  # requests with a wrong key are counted by their address
        if not known:
            detail = "The header X-API-Key must have a valid API key."
            raise HTTPException(401, detail, {"WWW-Authenticate": "X-API-Key"})


class RateLimit:
    """Limits the requests of each client, in a moving window. Workers count alone, or together in a Redis server."""

    def __init__(self, rate: str, storage: str) -> None:
        # A request that the shortest period refuses does not count in the others.
        self.items = sorted(limits.parse_many(rate), key=lambda item: item.get_expiry())
        self.own = MovingWindowRateLimiter(MemoryStorage())
        self.shared = None if storage == "memory" else MovingWindowRateLimiter(_redis_storage(storage))
        self.ask_again_at = 0.0

    async def count(self, client: str) -> HTTPException | None:
        """The error of a request above the limit. While Redis cannot be reached, this worker counts alone."""
        now = time.monotonic()
        if self.shared is not None and now >= self.ask_again_at:
            if self.ask_again_at:  # others do not wait while this request finds out whether Redis is back
                self.ask_again_at = now + ASK_AGAIN_SECONDS
            try:
                refusal = await self._count(self.shared, client)
            except StorageError as error:
                if time.monotonic() >= self.ask_again_at:  # the first of the requests that found out
                    log.warning("rate_limit_storage: each worker counts alone for now (%s)", error.storage_error)
                self.ask_again_at = time.monotonic() + ASK_AGAIN_SECONDS
            else:
                if self.ask_again_at:
                    self.ask_again_at = 0.0
                    log.info("rate_limit_storage: all workers count together again")
                return refusal
        return await self._count(self.own, client)

    async def _count(self, limiter: MovingWindowRateLimiter, client: str) -> HTTPException | None:
        for item in self.items:
            if not await limiter.hit(item, client):
                seconds = (await limiter.get_window_stats(item, client)).reset_time - time.time()
                retry_after = str(max(1, math.ceil(seconds)))
                return HTTPException(429, f"The rate limit is {item}.", {"Retry-After": retry_after})
        return None


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
    except (redis.RedisError, ValueError, TypeError) as error:  # TypeError: an option that redis does not know
        host = urlsplit(settings.rate_limit_storage).hostname
        raise UserError(f"{key}: Redis at {host} does not respond ({error})") from error


def _redis_storage(address: str) -> RedisStorage:
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    once = Retry(NoBackoff(), 1)  # a connection may be older than the server's last start
    options: dict[str, Any] = {"implementation": "redispy", "wrap_exceptions": True, "retry": once, **REDIS_TIMEOUTS}
    return RedisStorage(f"async+{address}", **options)
