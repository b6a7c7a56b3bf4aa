"""Draws for many requests at once: those that wait while a batch is drawn are the next one."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor

from gan.inference import DigitGenerator, chunks
from gan.serve import prometheus

Inputs = tuple[Tensor, Tensor | None]
Outcome = Tensor | Exception


class QueueFullError(Exception):
    """More images wait already than may."""


@dataclass(eq=False)
class Job:
    """Images of one request: the generator, how many, where their latents and labels come from, who waits for them."""

    generator: DigitGenerator
    count: int
    inputs: Callable[[], Inputs]
    drawn: asyncio.Future[Tensor]


class Batcher:
    """A queue of jobs, and the one thread that draws them, so that torch never holds up the event loop.

    A job alone is drawn at once. What comes meanwhile waits, and is drawn together. Clients who were answered together
    ask again at about the same time: after a batch of several jobs, as many are waited for, for `wait` seconds at most.
    An image does not depend on what it is drawn with, since the network always runs on chunks of one size.

    Args:
        max_batch: images in a batch; 1 draws each job alone.
        wait: seconds.
        queue_size: images that may wait.
    """

    def __init__(self, max_batch: int, wait: float, queue_size: int) -> None:
        self.max_batch, self.wait, self.queue_size = max_batch, wait, queue_size
        self.waiting = 0
        self._jobs: deque[Job] = deque()
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="torch")

    async def draw(self, generator: DigitGenerator, count: int, inputs: Callable[[int, int], Inputs]) -> Tensor:
        """Images 0..count-1 of what a function from (first, end) to latents and labels describes.

        Args:
            count: up to `queue_size`.
            inputs: called in the thread that draws.

        Returns:
            uint8 [count, C, 28, 28].

        Raises:
            QueueFullError: there is no room for so many now.
            UserError: of `inputs` and of the network.
        """
        if self.waiting + count > self.queue_size:
            prometheus.REFUSED.inc()
            raise QueueFullError
        loop = asyncio.get_running_loop()
        jobs = [
            Job(generator, end - first, lambda span=(first, end): inputs(*span), loop.create_future())
            for first, end in chunks(0, count, max(self.max_batch, generator.chunk))
        ]
        self._jobs.extend(jobs)
        self._count(count)
        self._arrived.set()
        return torch.cat(await asyncio.gather(*(job.drawn for job in jobs)))

    async def run(self) -> None:
        """Draws until it is cancelled."""
        before = 1
        while True:
            await self._wait_for_jobs(before)
            batch = self._take()
            before = len(batch)
            if not batch:
                continue
            outcomes = await asyncio.get_running_loop().run_in_executor(self._thread, draw_together, batch)
            for job, outcome in zip(batch, outcomes, strict=True):
                if job.drawn.done():  # nobody waits any more
                    continue
                if isinstance(outcome, Exception):
                    job.drawn.set_exception(outcome)
                else:
                    job.drawn.set_result(outcome)

    def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)

    async def _wait_for_jobs(self, before: int) -> None:
        """Until there is a job; after a batch of several, until there are as many or the time is up."""
        expected = max(1, before) if self.max_batch > 1 else 1
        deadline = time.monotonic() + self.wait
        while len(self._jobs) < expected:
            self._arrived.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(deadline - time.monotonic() if self._jobs else None):
                    await self._arrived.wait()
            if self._jobs and time.monotonic() >= deadline:
                return

    def _take(self) -> list[Job]:
        """The jobs that are drawn next, without those that nobody waits for any more."""
        batch: list[Job] = []
        images = 0
        while self._jobs and (not batch or images + self._jobs[0].count <= self.max_batch):
            job = self._jobs.popleft()
            self._count(-job.count)
            if not job.drawn.done():
                batch.append(job)
                images += job.count
        return batch

    def _count(self, images: int) -> None:
        self.waiting += images
        prometheus.QUEUE.set(self.waiting)


def draw_together(batch: Sequence[Job]) -> list[Outcome]:
    """The images of each job, or why it has none; those of one network with the same kind of labels in one go."""
    outcomes: dict[Job, Outcome] = {}
    groups: dict[tuple, list[tuple[Job, Inputs]]] = defaultdict(list)
    for job in batch:
        try:
            latents, labels = job.inputs()
        except Exception as error:
            outcomes[job] = error
        else:
            groups[job.generator, None if labels is None else labels.dtype].append((job, (latents, labels)))
    for (generator, kind), members in groups.items():
        jobs, inputs = zip(*members, strict=True)
        latents = torch.cat([latents for latents, _ in inputs])
        labels = None if kind is None else torch.cat([labels for _, labels in inputs])
        try:
            with prometheus.BATCH_SECONDS.time():
                images = generator.draw(latents, labels)
        except Exception as error:
            outcomes.update(dict.fromkeys(jobs, error))
        else:
            prometheus.BATCH.observe(len(images))
            outcomes.update(zip(jobs, images.split([job.count for job in jobs]), strict=True))
    return [outcomes[job] for job in batch]
