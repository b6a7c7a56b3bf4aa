"""The models of a service: choosing one for a request, and reloading one while the old one stays in use."""

import asyncio
import logging
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gan.atomic_write import write_atomic
from gan.checkpoint_files import checkpoint_path
from gan.config import explain
from gan.errors import UserError
from gan.generate.modes import Samples
from gan.inference import CHUNK, DigitGenerator, exact_sizes
from gan.inference.few_rows import pad_linear_layers
from gan.runs.newest import BEST, LAST, newest_runs
from gan.serve import prometheus
from gan.serve.settings import ModelSettings, Settings

log = logging.getLogger("gan.serve")
CHECK_SECONDS = 1.0
MOST_CHANGES = 5
NEWEST = {None: LAST, "last": LAST, "best": BEST}
Stamp = tuple[Path, int, int, int]


def stamp(path: Path) -> Stamp:
    """What changes when a file is replaced or written: its path, number, time and size. An OSError without the file."""
    found = path.stat()
    return path, found.st_ino, found.st_mtime_ns, found.st_size


@dataclass(frozen=True)
class Model:
    """A loaded generator."""

    name: str
    version: str  # the checksum of the weights, after the label of the settings and a + where there is one
    generator: DigitGenerator
    info: dict[str, Any]  # of `DigitGenerator.info`, with what `schemas.ModelEntry` has beside it
    stamp: Stamp  # of its file, taken before it was read

    @classmethod
    def open(cls, name: str, spec: ModelSettings, device: str, trust: Sequence[str]) -> "Model":
        """Raises a UserError for a file that cannot be used."""
        key = "ckpt" if name == "default" else f"models.{name}.ckpt"
        path = checkpoint_path(spec.ckpt, key)
        found = stamp(path)
        generator = DigitGenerator.open(path, key, device, trust)
        if generator.device.type == "cpu":
            pad_linear_layers(generator.network)
            example = generator.latents(0, 0, CHUNK), generator.labels(None, 0, CHUNK)
            generator.chunk_sizes = exact_sizes(generator.network, *example, generator.num_classes)
        info = generator.info()
        version = info["version"] if spec.version is None else f"{spec.version}+{info['version']}"
        generator.sample(generator.latents(0, 0, 1), generator.labels(None, 0, 1))  # warm-up: the first call is slow
        info |= {"name": name, "version": version, "path": str(path), "loaded_at": datetime.now(UTC)}
        return cls(name, version, generator, info, found)

    def samples(
        self, seeds: Sequence[int], digits: Sequence[int] | None = None, truncation: float | None = None
    ) -> Samples:
        """The images of `gan generate` for these values. Raises a UserError for digits that the model does not have."""
        if digits and self.generator.num_classes is None:
            reason = f"model {self.name} is unconditional, it cannot generate a given digit; leave digits out"
            raise UserError(f"digits={list(digits)}: {reason}")
        return Samples(self.generator, digits, seeds, truncation)


class Models(dict[str, Model]):
    """All models of a service, by name. A file in `shared` has the version of each that all workers are to have."""

    def __init__(self, settings: Settings, shared: Path | None = None) -> None:
        super().__init__()
        self.settings, self.shared = settings, shared
        self.shares = {name: spec.weight or 0.0 for name, spec in settings.models.items()}
        self._touched = {name: self._touch_of(name) for name in settings.models}
        # What each file was, how often in a row, and how often it has changed in a row.
        self._looks: dict[str, tuple[Stamp | None, int, int]] = {}
        self._lock = asyncio.Lock()
        for name in settings.models:
            self._tell_others(self.load(name))
            for outcome in ("loaded", "refused"):  # Prometheus sees no increase where a count begins at 1
                prometheus.RELOADS.labels(name, outcome)

    @property
    def default(self) -> Model:
        return self[self.settings.default]

    def pick(self, name: str | None = None, version: str | None = None, digits: Sequence[int] | None = None) -> Model:
        """The model of a name and of a version, in full or its label. Without both, the shares choose one at random.

        They choose one that can generate the digits, if there is one.
        """
        if name is None and version is None:
            needed = max(digits, default=0) + 1 if digits is not None else 0
            classes = {each: self[each].generator.num_classes or 0 for each in self.shares}
            able = {each: share for each, share in self.shares.items() if share and classes[each] >= needed}
            shares = able or self.shares
            name = random.choices(list(shares), list(shares.values()))[0]
        for model in self.values():
            label = self.settings.models[model.name].version
            if name in (None, model.name) and version in (None, model.version, label):
                return model
        available = ", ".join(f"{model.name} ({model.version})" for model in self.values())
        raise UserError(f"model={name or 'null'}, version={version or 'null'}: no such model; there is {available}")

    def load(self, name: str) -> Model:
        """Reads a model's file, and replaces the model. A UserError if the file cannot be used; the old model stays."""
        try:
            model = Model.open(name, self.settings.models[name], self.settings.device, self.settings.trust)
        except (OSError, RuntimeError) as error:  # such as a GPU without enough memory
            raise UserError(f"model {name}: {explain(error)}") from error
        prometheus.IMAGES_SEEN.labels(name).set(model.info["images_seen"])
        self[name] = model
        return model

    async def reload(self, name: str) -> Model:
        """Reads a model's file again, here and, within a second, in the other workers. Raises what `load` does."""
        return await asyncio.shield(self._load(name, requested=True))  # also if the request times out meanwhile

    async def follow(self) -> None:
        """Takes what other workers have reloaded and, with watch=true, what was written, until it is cancelled."""
        while self.shared is not None or self.settings.watch:
            await asyncio.sleep(CHECK_SECONDS)
            for name, model in [*self.items()]:
                if self._was_reloaded_elsewhere(name) or await asyncio.to_thread(self._is_new, model):
                    with suppress(Exception):  # the log has it
                        await self._load(name)

    async def _load(self, name: str, requested: bool = False) -> Model:
        async with self._lock:
            try:
                model = await asyncio.to_thread(self.load, name)
            except Exception as error:
                prometheus.RELOADS.labels(name, "refused").inc()
                known = isinstance(error, UserError)
                log.warning("model %s: the old one stays in use, %s", name, error, exc_info=None if known else error)
                raise
        prometheus.RELOADS.labels(name, "loaded").inc()
        log.info("model %s: version %s loaded, %s images seen", name, model.version, f"{model.info['images_seen']:,}")
        self._tell_others(model, requested)
        return model

    def _tell_others(self, model: Model, requested: bool = False) -> None:
        """Has the others read the model's file too: it may have been replaced since they did, before this one began."""
        file = self._version_file(model.name)
        if file is None:
            return
        file.parent.mkdir(mode=0o700, exist_ok=True)  # the system may have cleaned its /tmp
        if requested or not file.exists() or file.read_text(encoding="utf-8") != model.version:
            write_atomic(file, model.version)

    def _was_reloaded_elsewhere(self, name: str) -> bool:
        file = self._version_file(name)
        before, self._touched[name] = self._touched[name], self._touch_of(name)
        if file is None or self._touched[name] in (None, before):  # None: the system has cleaned its /tmp
            return False
        return file.read_text(encoding="utf-8") != self[name].version

    def _is_new(self, model: Model) -> bool:
        """A watched file is read once two looks found the same, so not in the middle of a slow copy, and only once.

        One that is replaced all the time is read at each fifth look.
        """
        found = self._look(model) if self.settings.watch else None
        before, times, changes = self._looks.get(model.name, (None, 0, 0))
        is_copied = found and before and found[:2] == before[:2] and found[3] > before[3]  # it grows
        times, changes = (times + 1, 0) if found == before else (1, 0 if is_copied else changes + 1)
        self._looks[model.name] = found, times, changes
        return found not in (None, model.stamp) and (times == 2 or (changes > 0 and changes % MOST_CHANGES == 0))

    def _look(self, model: Model) -> Stamp | None:
        """The stamp of a model's file now; for `last`, `best` and null that of the newest run."""
        ckpt = self.settings.models[model.name].ckpt
        try:
            run = newest_runs()[0] if ckpt in NEWEST else None
            return stamp(model.stamp[0] if run is None else run / NEWEST[ckpt])
        except OSError:  # it is being replaced, or may not be read
            return None

    def _touch_of(self, name: str) -> Stamp | None:
        file = self._version_file(name)
        return stamp(file) if file is not None and file.exists() else None

    def _version_file(self, name: str) -> Path | None:
        """The file that has the version of a model that all workers are to have; None for a single worker."""
        return None if self.shared is None else self.shared / f"{name}.version"
