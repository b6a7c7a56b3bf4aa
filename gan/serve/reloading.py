"""Takes the new files of models: on request, after another worker did, or as soon as a training run has written one."""

import asyncio
import logging
from contextlib import suppress
from pathlib import Path

from gan.errors import UserError
from gan.runs.newest import newest_runs
from gan.serve import prometheus
from gan.serve.models import Model, Models, Stamp, stamp

log = logging.getLogger("gan.serve")
CHECK_SECONDS = 1.0
NEWEST = {None: "last.ckpt", "last": "last.ckpt", "best": "best.ckpt"}


class Reloads:
    """Reads the files of models again, one at a time. For each reload on request, a file in `shared` is touched."""

    def __init__(self, models: Models, shared: Path | None = None) -> None:
        self.models, self.shared = models, shared
        self._touched = {name: self._touch_of(name) for name in models}
        self._seen: dict[str, Stamp | None] = {}
        self._tried: dict[str, Stamp] = {}
        self._lock = asyncio.Lock()

    async def reload(self, name: str) -> Model:
        """Reads a model's file again, here and, within a second, in the other workers. Raises what `load` does."""
        return await asyncio.shield(self._load(name, requested=True))  # also if the request times out meanwhile

    async def follow(self) -> None:
        """Takes what other workers have reloaded and, with watch=true, what was written, until it is cancelled."""
        while self.shared is not None or self.models.settings.watch:
            await asyncio.sleep(CHECK_SECONDS)
            for name, model in [*self.models.items()]:
                if self._was_reloaded_elsewhere(name) or await asyncio.to_thread(self._is_new, model):
                    with suppress(Exception):  # the log has it
                        await self._load(name)

    async def _load(self, name: str, requested: bool = False) -> Model:
        async with self._lock:
            try:
                model = await asyncio.to_thread(self.models.load, name)
            except Exception as error:
                prometheus.RELOADS.labels(name, "refused").inc()
                known = isinstance(error, UserError)
                log.warning("model %s: the old one stays in use, %s", name, error, exc_info=None if known else error)
                raise
        prometheus.RELOADS.labels(name, "loaded").inc()
        log.info("model %s: version %s loaded, %s images seen", name, model.version, f"{model.info['images_seen']:,}")
        if requested and self.shared is not None:
            (self.shared / f"{name}.reload").write_bytes(b"")
            self._touched[name] = self._touch_of(name)
        return model

    def _was_reloaded_elsewhere(self, name: str) -> bool:
        before, self._touched[name] = self._touched[name], self._touch_of(name)
        return self._touched[name] != before

    def _is_new(self, model: Model) -> bool:
        """A watched file is read once two looks found the same, so not in the middle of a slow copy, and only once."""
        name, found = model.name, self._look(model) if self.models.settings.watch else None
        settled, self._seen[name] = found == self._seen.get(name), found
        if found is None or not settled or found in (model.stamp, self._tried.get(name)):
            return False
        self._tried[name] = found
        return True

    def _look(self, model: Model) -> Stamp | None:
        """The stamp of a model's file now; for `last`, `best` and null that of the newest run."""
        ckpt = self.models.settings.models[model.name].ckpt
        try:
            run = newest_runs()[0] if ckpt in NEWEST else None
            return stamp(model.stamp[0] if run is None else run / "checkpoints" / NEWEST[ckpt])
        except OSError:  # it is being replaced, or may not be read
            return None

    def _touch_of(self, name: str) -> Stamp | None:
        """The stamp of the file that says when a worker last reloaded a model on request."""
        file = None if self.shared is None else self.shared / f"{name}.reload"
        return stamp(file) if file is not None and file.exists() else None
