"""The models of a service: choosing one for a request, and reloading one while the old one stays in use."""

import random
from collections.abc import Iterator, Sequence
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
    """A loaded generator.

    Attributes:
        label: the version label of the settings, if any.
        version: the checksum of the weights, after the label and a + where there is one.
        info: of `DigitGenerator.info`.
        stamp: of its file, taken before it was read.
    """

    name: str
    label: str | None
    version: str
    generator: DigitGenerator
    info: dict[str, Any]
    stamp: Stamp
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
        model = cls(name, spec.version, version, generator, info, found, datetime.now(UTC))
        generator.sample(generator.latents(0, 0, 1), generator.labels(None, 0, 1))  # warm-up: the first call is slow
        return model

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


class Models:
    """All models of a service, by name.

    Raises:
        UserError: a file that cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.shares = settings.shares
        assert settings.models is not None  # since the validation
        assert settings.default is not None
        self.specs, self._default = settings.models, settings.default
        self._models = {name: self._open(name) for name in self.specs}

    @property
    def default(self) -> Model:
        return self._models[self._default]

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models.values())

    def __contains__(self, name: str) -> bool:
        return name in self._models

    def pick(self, name: str | None = None, version: str | None = None) -> Model:
        """The model of a name and of a version, in full or its label. Without both, the shares choose one at random.

        Raises:
            UserError: there is no such model.
        """
        if name is None and version is None:
            if len(self.shares) == 1:
                return self.default
            name = random.choices(list(self.shares), list(self.shares.values()))[0]
        for model in self:
            if name in (None, model.name) and version in (None, model.version, model.label):
                return model
        available = ", ".join(f"{model.name} ({model.version})" for model in self)
        raise UserError(f"model={name or 'null'}, version={version or 'null'}: no such model; there is {available}")

    def reload(self, name: str) -> Model:
        """Reads a model's file again and replaces the model.

        Raises:
            UserError: the file cannot be used; the old model stays.
        """
        self._models[name] = self._open(name)
        return self._models[name]

    def _open(self, name: str) -> Model:
        try:
            model = Model.open(name, self.specs[name], self.settings.device, self.settings.trust)
        except OSError as error:
            raise UserError(explain(error)) from error
        except RuntimeError as error:  # such as a GPU without enough memory
            raise UserError(f"model {name}: {explain(error)}") from error
        prometheus.IMAGES_SEEN.labels(name).set(model.info["images_seen"])
        return model
