"""The rate limit: how many requests of a client are answered, and where they are counted."""

import logging
import math
import time
from typing import Any
from urllib.parse import urlsplit

import limits
from fastapi import HTTPException, Request
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError

from gan.errors import UserError, check_installed
from gan.serve.settings import Settings

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
        # A request that the shortest period refuses does not count in the others.
        self.items = sorted(limits.parse_many(rate), key=lambda item: item.get_expiry())
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
