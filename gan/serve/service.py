"""What the routes share: the models, the queue, and whether new requests should come here."""

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Annotated, Literal

import torch
from fastapi import Depends, Request
from torch import Tensor

from gan.errors import UserError
from gan.generate.modes import Samples
from gan.serve import prometheus
from gan.serve.batching import Batcher, Inputs
from gan.serve.models import Model, Models
from gan.serve.settings import Settings

log = logging.getLogger("gan.serve")
FOLLOW_SECONDS = 1.0


class Service:
    """One worker's models and queue.

    Args:
        settings: of the whole service.
        shared: a folder for what its workers tell each other, None for a single one: a file for each model, written
            when one of them has loaded it again, makes the others do the same within a second.

    Attributes:
        state: "ready" between the loading of the models and SIGTERM.
    """

    def __init__(self, settings: Settings, shared: Path | None = None) -> None:
        self.settings, self.shared = settings, shared
        self.state: Literal["starting", "ready", "draining"] = "starting"
        self.models: Models | None = None
        self._marks = {name: self._mark(name) for name in settings.models}
        self._reloading = asyncio.Lock()
        self._batcher: Batcher | None = None
        self._drawing: asyncio.Task | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Loads the models, then serves until the end of the block."""
        torch.set_num_threads(self.settings.threads)
        prometheus.forget_dead_workers()
        self.models = await asyncio.to_thread(Models, self.settings)
        wait = self.settings.batch_wait_ms / 1000
        self._batcher = Batcher(self.settings.max_batch, wait, self.settings.queue_size)
        self._drawing = asyncio.create_task(self._batcher.run())
        following = asyncio.create_task(self._follow())
        self.state = "ready"
        try:
            with self._draining_at_sigterm():
                yield
        finally:
            for task in (self._drawing, following):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            self._batcher.close()

    @property
    def alive(self) -> bool:
        """Whether what draws still runs."""
        return self._drawing is not None and not self._drawing.done()

    def check_count(self, count: int, key: str) -> None:
        if count > self.settings.max_images:
            raise UserError(f"{key}: {count} images, at most {self.settings.max_images} in one request")

    async def sample(
        self, model: Model, count: int, seeds: Sequence[int], digits: Sequence[int] | None, truncation: float | None
    ) -> Tensor:
        """The images of `gan generate` for these values: uint8 [count, C, 28, 28].

        Raises:
            UserError: a value that does not fit the model.
            QueueFullError: too many wait already.
        """
        self.check_count(count, "num_images")
        model.require_conditional(digits)

        def inputs(start: int, stop: int) -> Inputs:
            return Samples(model.generator, digits, seeds, truncation).inputs(start, stop)

        return await self._draw(model, count, inputs)

    async def way(
        self, model: Model, seeds: Sequence[int], digits: Sequence[int] | None, steps: int, truncation: float | None
    ) -> Tensor:
        """The images of `DigitGenerator.interpolate`, one way after the other; errors as for `sample`."""
        count = (len(seeds) - 1) * steps
        self.check_count(count, "steps")
        model.require_conditional(digits)

        def inputs(start: int, stop: int) -> Inputs:
            latents, labels = model.generator.latent_path(seeds, digits, steps, truncation)
            return latents[start:stop], None if labels is None else labels[start:stop]

        return await self._draw(model, count, inputs)

    async def reload(self, name: str) -> Model:
        """Loads a model's file again, here and, a moment later, in the other workers.

        Raises:
            UserError: it cannot be used; the old one draws on.
        """
        model = await self._reload_here(name)
        if self.shared is not None:
            self._mark_file(name).write_bytes(b"")
            self._marks[name] = self._mark(name)
        return model

    async def _reload_here(self, name: str) -> Model:
        async with self._reloading:
            outcome = "refused"
            try:
                model = await asyncio.to_thread(self.models.reload, name)
                outcome = "loaded"
            finally:
                prometheus.RELOADS.labels(name, outcome).inc()
        log.info("model %s: version %s loaded", name, model.version)
        return model

    async def _draw(self, model: Model, count: int, inputs: Callable[[int, int], Inputs]) -> Tensor:
        images = await self._batcher.draw(model.generator, count, inputs)
        prometheus.IMAGES.labels(model.name, model.version).inc(count)
        return images

    async def _follow(self) -> None:
        """Loads again what another worker has loaded again."""
        while self.shared is not None:
            await asyncio.sleep(FOLLOW_SECONDS)
            for name, known in self._marks.items():
                mark = self._mark(name)
                if mark != known:
                    self._marks[name] = mark
                    try:
                        await self._reload_here(name)
                    except UserError as error:
                        log.warning("model %s: the old one stays, %s", name, error)

    def _mark_file(self, name: str) -> Path:
        return self.shared / f"{name}.reload"

    def _mark(self, name: str) -> int | None:
        if self.shared is None or not self._mark_file(name).exists():
            return None
        return self._mark_file(name).stat().st_mtime_ns

    @contextmanager
    def _draining_at_sigterm(self) -> Iterator[None]:
        """After SIGTERM the server goes on for `drain_seconds`, with /readyz at 503, so that no new request comes."""
        loop = asyncio.get_running_loop()
        stop = signal.getsignal(signal.SIGTERM)
        if threading.current_thread() is not threading.main_thread() or not callable(stop):
            yield  # not under uvicorn, as in tests
            return

        def drain() -> None:
            self.state = "draining"
            log.info("draining: not ready any more, ends in %g s and when what has begun is done", seconds)
            loop.call_later(seconds, stop, signal.SIGTERM, None)

        seconds = self.settings.drain_seconds
        loop.add_signal_handler(signal.SIGTERM, drain)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGTERM)


def _service(request: Request) -> Service:
    return request.app.state.service


ServiceOf = Annotated[Service, Depends(_service)]
