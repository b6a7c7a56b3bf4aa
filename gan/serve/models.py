"""The models of a service: choosing one for a request, and reloading one while the old one stays in use."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gan.checkpoint_files import checkpoint_path
from gan.config import explain
from gan.errors import UserError
from gan.generate.modes import Samples
from gan.inference import CHUNK, DigitGenerator, exact_sizes
from gan.inference.few_rows import pad_linear_layers
from gan.serve import prometheus
from gan.serve.settings import ModelSettings, Settings

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
    info: dict[str, Any]  # of `DigitGenerator.info`
    stamp: Stamp  # of its file, taken before it was read
    loaded_at: datetime

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
        return cls(name, version, generator, info, found, datetime.now(UTC))

    def samples(
        self, seeds: Sequence[int], digits: Sequence[int] | None = None, truncation: float | None = None
    ) -> Samples:
        """The images of `gan generate` for these values. Raises a UserError for digits that the model does not have."""
        self.require_conditional(digits)
        return Samples(self.generator, digits, seeds, truncation)

    def require_conditional(self, digits: Sequence[int] | None) -> None:
        if digits and self.generator.num_classes is None:
            reason = f"model {self.name} is unconditional, it cannot generate a given digit; leave digits out"
            raise UserError(f"digits={list(digits)}: {reason}")


class Models(dict[str, Model]):
    """All models of a service, by name."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings, self.shares = settings, settings.shares
        for name in settings.models:
            self.load(name)

    @property
    def default(self) -> Model:
        return self[self.settings.default]

    def pick(self, name: str | None = None, version: str | None = None) -> Model:
        """The model of a name and of a version, in full or its label. Without both, the shares choose one at random."""
        if name is None and version is None:
            if len(self.shares) == 1:
                return self.default
            name = random.choices(list(self.shares), list(self.shares.values()))[0]
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
