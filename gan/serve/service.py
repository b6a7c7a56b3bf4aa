"""What the endpoints share: the models, the queue, the cache and readiness."""

import asyncio
import gc
import logging
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import torch
from fastapi import Request
from pydantic import BaseModel
from torch import Tensor

from gan.errors import UserError
from gan.generate.modes import Samples
from gan.inference.chunks import Inputs
from gan.serve import prometheus
from gan.serve.batching import Batcher
from gan.serve.job_store import Jobs
from gan.serve.job_worker import JobStopped, work_on_jobs
from gan.serve.models import Model, Models
from gan.serve.settings import Settings
from gan.threads import settle_threads

log = logging.getLogger("gan.serve")
QUIET_SECONDS, MAX_WAIT_SECONDS = 0.05, 1.0  # without a request, before a job's next images
START_AGAIN_SECONDS = 5.0
ENTRY_BYTES = 1024  # about what a key and a tensor take beside their pixels


class ImageCache:
    """Images by what was requested. When it is full, the least recently used are dropped."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes, self.bytes = max_bytes, 0
        self._entries: OrderedDict[Hashable, Tensor] = OrderedDict()

    def get(self, key: Hashable) -> Tensor | None:
        """The images of a request; None if they are not here."""
        images = self._entries.get(key)
        prometheus.CACHE.labels("miss" if images is None else "hit").inc()
        if images is not None:
            self._entries.move_to_end(key)
        return images

    def put(self, key: Hashable, images: Tensor) -> None:
        """Keeps a copy, since images may be part of a whole batch's memory."""
        size = images.nbytes + ENTRY_BYTES
        if key in self._entries or size > self.max_bytes:
            return
        self._entries[key] = torch.from_numpy(images.numpy().copy())  # `clone` would wait for torch's thread
        self.bytes += size
        while self.bytes > self.max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self.bytes -= oldest.nbytes + ENTRY_BYTES
        prometheus.CACHE_BYTES.set(self.bytes)


class Service:
    """One worker's models and queue. `shared`: a folder of all workers, see `Models`; None for a single worker."""

    jobs: Jobs  # if there is a folder for them
    models: Models  # from when it is running

    def __init__(self, settings: Settings, shared: Path | None = None) -> None:
        self.settings, self.shared = settings, shared
        self.draining = False
        self._cache, self._batcher = ImageCache(settings.cache_bytes), Batcher(settings)
        self._finding = asyncio.Lock()
        self._batching: asyncio.Task | None = None
        self._requests, self._last_request = 0, 0.0  # that wait for images now; and when one last did
        self.stopping = asyncio.Event()
        if settings.jobs_dir is not None:
            self.jobs = Jobs(settings, settings.jobs_dir)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Loads the models, then generates images until the end of the block."""
        settle_threads(self.settings.threads)
        prometheus.forget_dead_workers()
        self.models = await self._first_models()
        self._batching = asyncio.create_task(self._batcher.run())
        gc.collect()
        gc.freeze()  # the libraries' objects live as long as the process: no collection looks at them again
        following = asyncio.create_task(self.models.follow())
        working = asyncio.create_task(work_on_jobs(self)) if self.settings.jobs_dir else None
        self._drain_at_sigterm()
        try:
            yield
        finally:
            self.stopping.set()
            if working is not None:
                with suppress(asyncio.CancelledError):
                    await working
            for task in (following, self._batching):
                task.cancel()
            await asyncio.gather(following, self._batching, return_exceptions=True)
            parent = multiprocessing.parent_process()
            if self.shared is not None and parent is not None and not parent.is_alive():
                shutil.rmtree(self.shared, ignore_errors=True)  # as the parent does, unless it was killed

    async def _first_models(self) -> Models:
        """The models. Where other workers serve, a file that cannot be used now ends this one, and it starts again."""
        try:
            return await asyncio.to_thread(Models, self.settings, self.shared)
        except UserError as error:
            if self.shared is None or not any(self.shared.glob("*.version")):
                raise
            log.warning("this worker starts again in %g s: %s", START_AGAIN_SECONDS, error)
        await asyncio.sleep(START_AGAIN_SECONDS)
        os._exit(1)  # a failed start would have uvicorn end all workers

    @property
    def alive(self) -> bool:
        """Whether the batching task is running."""
        return self._batching is not None and not self._batching.done()

    async def moved(self, model: Model, directions: BaseModel | None) -> Model:
        """The model with its latents moved. A model's directions are found at their first use, beside the batches."""
        amounts = {} if directions is None else directions.model_dump()
        if not any(amounts.values()):
            return model
        async with self._finding:
            return replace(model, generator=await asyncio.to_thread(model.generator.moved, amounts))

    async def sample(self, model: Model, samples: Samples, count: int, cached: bool = False) -> Tensor:
        """Images 0..count-1 of the samples: uint8 [count, C, 28, 28]. Those of a random seed are not to be cached."""
        self.check_count(count, "num_images")
        digits, seeds = samples.digits, tuple(samples.seeds[:count])  # the others are not used
        entry = ("sample", count, seeds, digits and tuple(digits[:count]), samples.truncation) if cached else None
        return await self._cached_or_new(model, count, samples.inputs, entry)

    async def interpolate(
        self, model: Model, seeds: Sequence[int], digits: Sequence[int] | None, steps: int, truncation: float | None
    ) -> Tensor:
        """The images of `DigitGenerator.interpolate`, all paths in one tensor."""
        count = (len(seeds) - 1) * steps
        self.check_count(count, "steps")
        model.samples(seeds, digits)  # refuses digits that the model does not have, also unused ones

        def inputs(start: int, stop: int) -> Inputs:
            latents, labels = model.generator.latent_path(seeds, digits, steps, truncation)
            return latents[start:stop], None if labels is None else labels[start:stop]

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
        place = (model.name, model.version, model.generator.amounts, entry)
        if entry is not None and (found := self._cache.get(place)) is not None:
            return found
        self._requests += 1
        try:
            images = await self._batcher.generate(model, inputs, 0, count)
        finally:
            self._requests -= 1
            self._last_request = time.monotonic()
        if entry is not None:
            self._cache.put(place, images)
        return images

    async def turn(self) -> None:
        """Waits up to a second for a pause in the requests: jobs yield to them, and still progress."""
        patience = time.monotonic() + MAX_WAIT_SECONDS
        while self._requests or time.monotonic() - self._last_request < QUIET_SECONDS:
            if time.monotonic() > patience:
                break
            await asyncio.sleep(QUIET_SECONDS / 4)
        if self.stopping.is_set():
            raise JobStopped

    async def sample_in_turn(self, model: Model, samples: Samples, start: int, stop: int) -> Tensor:
        """Images start..stop-1 of a job, in turn behind the requests: uint8 [stop - start, C, 28, 28]."""
        await self.turn()
        return await self._batcher.generate(model, samples.inputs, start, stop, limited=False)

    def _drain_at_sigterm(self) -> None:
        """After SIGTERM /readyz is 503 for `drain_seconds`, so that load balancers stop, before the server stops."""
        loop, seconds = asyncio.get_running_loop(), self.settings.drain_seconds
        stop = signal.getsignal(signal.SIGTERM)
        if threading.current_thread() is not threading.main_thread() or not callable(stop):
            return  # outside uvicorn, as in tests

        def drain() -> None:
            if self.draining:
                return
            self.draining = True
            log.info("draining: not ready; stops in %g s, after the requests in progress", seconds)
            loop.call_later(seconds, stop, signal.SIGTERM, None)

        loop.add_signal_handler(signal.SIGTERM, drain)


def service_of(request: Request) -> Service:
    """The service of an endpoint. As a dependency it would take FastAPI a tenth of the time of a small request."""
    return request.app.state.service
