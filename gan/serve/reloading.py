"""Reloads the models of one worker, and tells the other workers."""

import asyncio
import logging
from pathlib import Path

from gan.errors import UserError
from gan.serve import prometheus
from gan.serve.models import Model, Models

log = logging.getLogger("gan.serve")
CHECK_SECONDS = 1.0


class Reloads:
    """Reads the files of models again, one at a time.

    Args:
        models: of this worker.
        shared: a folder that all workers share; None for a single worker. A worker that reloads a model touches the
            model's file there, and the others reload it within a second.
    """

    def __init__(self, models: Models, shared: Path | None = None) -> None:
        self.models, self.shared = models, shared
        self._times = self._reload_times()
        self._lock = asyncio.Lock()

    async def reload(self, name: str) -> Model:
        """Reads a model's file again, here and, within a second, in the other workers.

        Raises:
            UserError: the file cannot be used; the old model stays.
        """
        model = await self._reload_here(name)
        if self.shared is not None:
            (self.shared / f"{name}.reload").write_bytes(b"")
            self._times[name] = self._reload_times()[name]
        return model

    async def take(self, name: str) -> None:
        """Takes a model's new file. One that cannot be used is a line in the log, and the old model stays."""
        try:
            await self._reload_here(name)
        except UserError as error:
            log.warning("model %s: the old one stays in use, %s", name, error)

    async def follow(self) -> None:
        """Reloads the models that other workers have reloaded, until it is cancelled."""
        while self.shared is not None:
            await asyncio.sleep(CHECK_SECONDS)
            for name, latest in self._reload_times().items():
                if latest != self._times.get(name):
                    self._times[name] = latest
                    await self.take(name)

    async def _reload_here(self, name: str) -> Model:
        async with self._lock:
            outcome = "refused"
            try:
                model = await asyncio.to_thread(self.models.reload, name)
                outcome = "loaded"
            finally:
                prometheus.RELOADS.labels(name, outcome).inc()
        log.info("model %s: version %s loaded, %s images seen", name, model.version, f"{model.info['images_seen']:,}")
        return model

    def _reload_times(self) -> dict[str, int]:
        """When a worker last reloaded each model, in nanoseconds."""
        files = [] if self.shared is None else self.shared.glob("*.reload")
        return {file.stem: file.stat().st_mtime_ns for file in files}
