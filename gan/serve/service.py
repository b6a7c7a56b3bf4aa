"""What the endpoints share: the models, the queue and readiness."""

import asyncio
import gc
import logging
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

from fastapi import Request
from pydantic import BaseModel
from torch import Tensor

from gan.errors import UserError
from gan.generate.modes import Samples
from gan.serve import prometheus
from gan.serve.batching import Batcher, Inputs
from gan.serve.cache import ImageCache
from gan.serve.job_store import Jobs
from gan.serve.job_worker import JobStopped, JobWorker
from gan.serve.models import Model, Models
from gan.serve.reloading import Reloads
from gan.serve.settings import Settings
from gan.threads import settle_threads

log = logging.getLogger("gan.serve")
QUIET_SECONDS, MAX_WAIT_SECONDS = 0.05, 1.0  # without a request, before a job's next images


class Service:
    """One worker's models and queue.

    Args:
        settings: of the whole service.
        shared: a folder that all workers share, see `Reloads`; None for a single worker.

    Attributes:
        state: "ready" from when the models are loaded until SIGTERM.
        models, reloads: from when it is no longer "starting".
    """

    models: Models
    reloads: Reloads
    _batcher: Batcher

    def __init__(self, settings: Settings, shared: Path | None = None) -> None:
        self.settings, self.shared = settings, shared
        self.state: Literal["starting", "ready", "draining"] = "starting"
        self._cache = ImageCache(settings.cache_bytes)
        self._finding = asyncio.Lock()
        self._batching: asyncio.Task | None = None
        self._requests, self._last_request = 0, 0.0  # that wait for images now; and when one last did
        self._stopping = asyncio.Event()
        self.jobs = None if settings.jobs_dir is None else Jobs(settings)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Loads the models, then generates images until the end of the block."""
        settle_threads(self.settings.threads)
        prometheus.forget_dead_workers()
        self.models = await asyncio.to_thread(Models, self.settings)
        self.reloads = Reloads(self.models, self.shared)
        wait = self.settings.batch_wait_ms / 1000
        self._batcher = Batcher(self.settings.max_batch, wait, self.settings.queue_size)
        self._batching = asyncio.create_task(self._batcher.run())
        gc.collect()
        gc.freeze()  # the libraries' objects live as long as the process: no collection looks at them again
        following = asyncio.create_task(self.reloads.follow())
        working = asyncio.create_task(JobWorker(self.jobs, self).run(self._stopping)) if self.jobs else None
        self.state = "ready"
        try:
            with self._draining_at_sigterm():
                yield
        finally:
            self._stopping.set()
            if working is not None:
                with suppress(asyncio.CancelledError):
                    await working
            for task in (following, self._batching):
                task.cancel()
            await asyncio.gather(following, self._batching, return_exceptions=True)
            self._batcher.close()

    @property
    def alive(self) -> bool:
        """Whether the batching task is running."""
        return self._batching is not None and not self._batching.done()

    async def moved(self, model: Model, directions: BaseModel | None) -> Model:
        """The model with its latents moved. A model's directions are found at their first use, beside the batches.

        Raises:
            UserError: the model has no such direction.
        """
        amounts = {} if directions is None else directions.model_dump()
        if not any(amounts.values()):
            return model
        async with self._finding:
            return replace(model, generator=await asyncio.to_thread(model.generator.moved, amounts))

    async def sample(self, model: Model, samples: Samples, count: int, cached: bool = False) -> Tensor:
        """Images 0..count-1 of the samples: uint8 [count, C, 28, 28].

        Args:
            cached: whether to look for them in the cache and to keep them there. Those of a random seed need no place.

        Raises:
            UserError: too many images.
            HTTPException: the queue has no room for them.
        """
        self.check_count(count, "num_images")
        digits, seeds = samples.digits, tuple(samples.seeds[:count])  # the others are not used
        entry = ("sample", count, seeds, digits and tuple(digits[:count]), samples.truncation) if cached else None
        return await self._cached_or_new(model, count, samples.inputs, entry)

    async def interpolate(
        self, model: Model, seeds: Sequence[int], digits: Sequence[int] | None, steps: int, truncation: float | None
    ) -> Tensor:
        """The images of `DigitGenerator.interpolate`, all paths in one tensor; raises what `sample` does."""
        count = (len(seeds) - 1) * steps
        self.check_count(count, "steps")
        model.require_conditional(digits)

        def inputs(start: int, stop: int) -> Inputs:
            latents, labels = model.generator.latent_path(seeds, digits, steps, truncation)
            return latents[start:stop], None if labels is None else labels[start:stop]

        model.generator.labels(digits, 0, 1)  # refuses digits that the model does not have, also unused ones
        entry = ("interpolate", tuple(seeds), digits and tuple(digits[: len(seeds)]), steps, truncation)
        return await self._cached_or_new(model, count, inputs, entry)

    def check_count(self, count: int, key: str) -> None:
        """Raises a UserError for too many images."""
        if count > self.settings.max_images:
            raise UserError(f"{key}: {count} images, at most {self.settings.max_images} in one request")

    async def _cached_or_new(
        self, model: Model, count: int, inputs: Callable[[int, int], Inputs], entry: Hashable | None
    ) -> Tensor:
        """Images from the cache, or new ones. `entry`: what was requested of the model; None: they are not cached."""
        place = None if entry is None else (model.name, model.version, model.generator.amounts, entry)
        found = None if place is None else self._cache.get(place)
        if found is not None:
            return found
        self._requests += 1
        try:
            images = await self._generate(model, count, inputs)
        finally:
            self._requests -= 1
            self._last_request = time.monotonic()
        if place is not None:
            self._cache.put(place, images)
        return images

    async def turn(self) -> None:
        """Waits up to a second for a pause in the requests: jobs yield to them, and still progress.

        Raises:
            JobStopped: the service stops.
        """
        patience = time.monotonic() + MAX_WAIT_SECONDS
        while self._requests or time.monotonic() - self._last_request < QUIET_SECONDS:
            if time.monotonic() > patience:
                break
            await asyncio.sleep(QUIET_SECONDS / 4)
        if self._stopping.is_set():
            raise JobStopped

    async def sample_in_turn(self, model: Model, samples: Samples, start: int, stop: int) -> Tensor:
        """Images start..stop-1 of a job, in turn behind the requests: uint8 [stop - start, C, 28, 28]."""
        await self.turn()

        def inputs(first: int, end: int) -> Inputs:
            return samples.inputs(start + first, start + end)

        return await self._generate(model, stop - start, inputs, limited=False)

    async def _generate(
        self, model: Model, count: int, inputs: Callable[[int, int], Inputs], limited: bool = True
    ) -> Tensor:
        """New images, and counts them; see `Batcher.generate`."""
        images = await self._batcher.generate(model.generator, count, inputs, limited)
        prometheus.IMAGES.labels(model.name).inc(count)
        return images

    @contextmanager
    def _draining_at_sigterm(self) -> Iterator[None]:
        """After SIGTERM /readyz is 503 for `drain_seconds`, so that load balancers stop, before the server stops."""
        loop = asyncio.get_running_loop()
        stop = signal.getsignal(signal.SIGTERM)
        if threading.current_thread() is not threading.main_thread() or not callable(stop):
            yield  # outside uvicorn, as in tests
            return

        def drain() -> None:
            self.state = "draining"
            log.info("draining: not ready; stops in %g s, after the requests in progress", seconds)
            loop.call_later(seconds, stop, signal.SIGTERM, None)

        seconds = self.settings.drain_seconds
        loop.add_signal_handler(signal.SIGTERM, drain)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGTERM)


def service_of(request: Request) -> Service:
    """The service of an endpoint. As a dependency it would take FastAPI a tenth of the time of a small request."""
    return request.app.state.service
