"""Batches concurrent requests: what arrives while one batch is generated goes into the next."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import torch
from fastapi import HTTPException
from torch import Tensor

from gan.inference import chunks
from gan.inference.chunks import Inputs
from gan.serve import prometheus
from gan.serve.models import Model
from gan.serve.settings import Settings


@dataclass(eq=False)
class Part:
    """Images of one request, in one batch. `inputs` returns their latents and labels."""

    model: Model
    count: int
    inputs: Callable[[], Inputs]
    images: asyncio.Future[Tensor]


class Batcher:
    """A queue of requests, large ones in parts, and a thread that generates their images beside the event loop."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.max_batch = settings, settings.max_batch
        self.waiting = 0
        self._parts: deque[Part] = deque()
        self._part_arrived = asyncio.Event()

    async def generate(
        self, model: Model, inputs: Callable[[int, int], Inputs], start: int, stop: int, limited: bool = True
    ) -> Tensor:
        """Queues images start..stop-1 and waits for them: uint8 [n, C, 28, 28]. `inputs` is called in the thread."""
        # The few images of a job's turn are not limited: they would never find room in a busy service.
        if limited and self.waiting + stop - start > self.settings.queue_size:
            prometheus.REFUSED.inc()
            raise HTTPException(503, "The queue is full; try again soon.", {"Retry-After": "1"})
        loop = asyncio.get_running_loop()
        parts = [
            Part(model, end - first, partial(inputs, first, end), loop.create_future())
            for first, end in chunks(start, stop, max(self.max_batch, model.generator.chunk_sizes[-1]))
        ]
        self._parts.extend(parts)
        self._change_waiting(stop - start)
        self._part_arrived.set()
        if len(parts) == 1:
            return await parts[0].images
        return torch.cat(await asyncio.gather(*(part.images for part in parts)))

    async def run(self) -> None:
        """Generates batches until it is cancelled."""
        previous_parts = 1  # clients that got their responses together tend to send their next requests together
        with ThreadPoolExecutor(1, thread_name_prefix="torch") as thread:
            while True:
                await self._wait_for_parts(previous_parts if self.max_batch > 1 else 1)
                batch = self._next_batch()
                previous_parts = max(1, len(batch))
                results = await asyncio.get_running_loop().run_in_executor(thread, generate_batch, batch)
                for part, result in zip(batch, results, strict=True):
                    if part.images.done():  # the request timed out meanwhile
                        continue
                    if isinstance(result, Exception):
                        part.images.set_exception(result)
                    else:
                        part.images.set_result(result)
                        prometheus.IMAGES.labels(part.model.name).inc(part.count)

    async def _wait_for_parts(self, expected: int) -> None:
        """Returns once `expected` parts are queued, or at least one after `batch_wait_ms`."""
        deadline = time.monotonic() + self.settings.batch_wait_ms / 1000
        while len(self._parts) < expected:
            self._part_arrived.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(deadline - time.monotonic() if self._parts else None):
                    await self._part_arrived.wait()
            if self._parts and time.monotonic() >= deadline:
                return

    def _next_batch(self) -> list[Part]:
        """Takes parts off the queue, up to `max_batch` images, and drops those whose requests have timed out."""
        batch: list[Part] = []
        images = 0
        while self._parts and (not batch or images + self._parts[0].count <= self.max_batch):
            part = self._parts.popleft()
            self._change_waiting(-part.count)
            if not part.images.done():
                batch.append(part)
                images += part.count
        return batch

    def _change_waiting(self, images: int) -> None:
        self.waiting += images
        prometheus.QUEUE.set(self.waiting)


def generate_batch(batch: Sequence[Part]) -> list[Tensor | Exception]:
    """The images of each part, or its error. Parts of one generator with the same kind of labels share one call."""
    results: dict[Part, Tensor | Exception] = {}
    groups: dict[tuple, list[tuple[Part, Inputs]]] = defaultdict(list)
    for part in batch:
        try:
            latents, labels = part.inputs()
        except Exception as error:
            results[part] = error
        else:
            groups[part.model.generator, None if labels is None else labels.dtype].append((part, (latents, labels)))
    for (generator, label_type), members in groups.items():
        parts, inputs = zip(*members, strict=True)
        latents = torch.cat([latents for latents, _ in inputs])
        labels = None if label_type is None else torch.cat([labels for _, labels in inputs])
        try:
            with prometheus.BATCH_SECONDS.time():
                images = generator.sample(latents, labels)
        except Exception as error:
            results.update(dict.fromkeys(parts, error))
        else:
            prometheus.BATCH.observe(len(images))
            results.update(zip(parts, images.split([part.count for part in parts]), strict=True))
    return [results[part] for part in batch]
