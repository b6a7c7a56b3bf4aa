"""What the keys and values of a config may be, checked before heavy imports; constructors check their own values.

Those of `gan serve` are in `gan/serve/settings.py`. `gan.data.MNISTDataModule` checks what depends on the data.
"""

import difflib
import json
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from gan.errors import UserError

UNLIKE_TEXT = re.compile(r"\s*|[-+.\d][-+.\de]*|true|false|null", re.IGNORECASE)


@dataclass(frozen=True)
class Allowed(ABC):
    """The values that a key may have; `optional`: None is one of them."""

    optional: bool = field(default=False, kw_only=True)

    def require(self, key: str, value: Any) -> None:
        """Raises a UserError that names the key unless it may have this value."""
        if not (self.has(value) or (value is None and self.optional)):
            unlike_text = isinstance(value, str) and UNLIKE_TEXT.fullmatch(value)
            shown = repr(value) if unlike_text else value
            raise UserError(f"{key}={shown}: {self.words()}{', or null' if self.optional else ''}")

    @abstractmethod
    def has(self, value: Any) -> bool:
        """Whether a value is one of them, None aside."""

    @abstractmethod
    def words(self) -> str:
        """What holds for each of them but None."""


@dataclass(frozen=True)
class Number(Allowed):
    """A finite number, an integer if `whole`. It may be `least` or `most` itself, but not `above` or `below`."""

    least: float = -math.inf
    above: float = -math.inf
    most: float = math.inf
    below: float = math.inf
    whole: bool = False

    def has(self, value: Any) -> bool:
        is_number = type(value) is int and (self.whole or abs(value) < 2**63)  # torch overflows on greater ones
        is_number |= type(value) is float and not self.whole
        return is_number and self.least <= value <= self.most and self.above < value < self.below

    def words(self) -> str:
        bounds = (
            ("{:,} or more", self.least),
            ("above {:,}", self.above),
            ("{:,} or less", self.most),
            ("below {:,}", self.below),
        )
        within = [text.format(bound) for text, bound in bounds if math.isfinite(bound)]
        return ", ".join(["a whole number" if self.whole else "a number", *within])


@dataclass(frozen=True)
class OneOf(Allowed):
    """One of a few values."""

    values: tuple[str | bool | int, ...]

    def has(self, value: Any) -> bool:
        return (type(value), value) in [(type(one), one) for one in self.values]  # 1 == True

    def words(self) -> str:
        words = [one if isinstance(one, str) else json.dumps(one) for one in self.values]
        return (" or " if len(words) == 2 else ", ").join(words)


@dataclass(frozen=True)
class Text(Allowed):
    """A text that is not empty, or a number that stands for one."""

    def has(self, value: Any) -> bool:
        return isinstance(value, str | int | float) and not isinstance(value, bool) and value != ""

    def words(self) -> str:
        return "a text"


@dataclass(frozen=True)
class PathOf(Allowed):
    """The path of a file or a folder. A number is refused: 1e3 is read as 1000.0, which is another name."""

    what: str

    def has(self, value: Any) -> bool:
        return isinstance(value, str | PurePath)

    def words(self) -> str:
        return f"the path of a {self.what}"


COUNT, OPTIONAL = Number(least=1, whole=True), Number(least=1, whole=True, optional=True)
SIZE = Number(least=0, whole=True)
SWITCH = OneOf((True, False))
SEED = Number(least=0, below=2**32, whole=True)
MAX_INDEX = 10**15
MAX_SHOWN = 10_000  # images in one picture or animation
MAX_EPOCH_IMAGES = 10**8  # the order of an epoch's images is in memory
PICTURES = ("samples", "plots", "wandb")  # the callbacks that make some
DIRECTIONS = ("slant", "thickness", "width", "size")
MAX_AMOUNT = 5  # standard deviations along a direction

TRAIN: dict[str, Allowed] = {
    "seed": SEED,
    "max_images": OPTIONAL,
    "ckpt_path": PathOf("file", optional=True),
    "init_from": PathOf("file", optional=True),
    "compile": SWITCH,
    "deterministic": SWITCH,
    "threads": Number(least=1, most=1024, whole=True, optional=True),
    "cuda_graph": OneOf(("auto", True, False)),
    "on_divergence": OneOf(("stop", "rewind")),
    "steps_per_execution": OPTIONAL,
    "n_trials": COUNT,
    "data.dir": PathOf("folder"),
    "data.download": SWITCH,
    "data.offline_fallback": SWITCH,
    "data.batch_size": COUNT,
    "data.val_size": SIZE,
    "data.val_batch_size": COUNT,
    "data.images_per_epoch": Number(least=1, most=MAX_EPOCH_IMAGES, whole=True, optional=True),
    "data.stratified_batches": SWITCH,
    "data.rare_share": Number(least=0, most=1),
    "data.seed": SIZE,
    "data.source.num_images": OPTIONAL,
    "model.seed": SEED,
    "model.max_images": OPTIONAL,
    "model.latent_dim": COUNT,
    "model.num_classes": Number(least=2, whole=True, optional=True),
    "model.image_channels": OneOf((1, 3)),
    "model.discriminator_steps": COUNT,
    **{f"model.{network}_optimizer.lr": Number(least=0) for network in ("generator", "discriminator")},
    "model.gradient_clip_norm": Number(above=0, optional=True),
    "model.ema_half_life": Number(least=0),
    "model.ema_warmup": Number(above=0),
    "model.dcgan_initialization": SWITCH,
    **{f"model.{name}": SWITCH for name in ("one_stage", "joint_batches", "shared_latents", "paired_labels")},
    "model.classification_weight": Number(least=0),
    "model.classification_images": Number(above=0, optional=True),
    "model.diversity_weight": Number(least=0),
    "model.instance_noise": Number(least=0),
    "model.instance_noise_images": Number(above=0, optional=True),
    "model.loss.label_smoothing": Number(least=0, below=1),
    "model.loss.leak": Number(least=0, most=1),
    "trainer.max_epochs": Number(least=-1, whole=True, optional=True),
    "trainer.min_epochs": Number(least=0, whole=True, optional=True),
    "trainer.num_nodes": COUNT,
    "trainer.check_val_every_n_epoch": OPTIONAL,
    "trainer.limit_train_batches": Number(above=0, optional=True),
    "trainer.limit_val_batches": Number(least=0, optional=True),
    "trainer.num_sanity_val_steps": Number(least=-1, whole=True, optional=True),
    "trainer.log_every_n_steps": COUNT,
    "trainer.val_check_interval": Number(above=0, optional=True),
    "trainer.accelerator": OneOf(("auto", "cpu", "gpu", "cuda", "mps")),
    **{f"trainer.{name}": SWITCH for name in ("benchmark", "detect_anomaly", "inference_mode", "enable_progress_bar")},
    "trainer.deterministic": OneOf((True, False, "warn"), optional=True),
    "trainer.precision": OneOf(("auto", "32-true", "16-mixed", "bf16-mixed")),
    **{f"callbacks.{name}.seed": SEED for name in PICTURES},
    **{f"callbacks.{name}.num_images": Number(least=1, most=MAX_SHOWN, whole=True) for name in PICTURES},
    "callbacks.samples.every_n_epochs": COUNT,
    "callbacks.samples.every_n_batches": OPTIONAL,
    "callbacks.checkpoints.every_n_epochs": SIZE,
    "callbacks.checkpoints.every_n_minutes": Number(above=0, optional=True),
    "callbacks.checkpoints.keep_last": COUNT,
    "callbacks.budget.max_images": OPTIONAL,
    "callbacks.progress_bar.refresh_rate": SIZE,
    "callbacks.wandb.log_checkpoint": SWITCH,
    "wandb.mode": OneOf(("online", "offline", "disabled")),
    "wandb.project": Text(),
    **{f"wandb.{key}": Text(optional=True) for key in ("entity", "group", "job_type", "name", "notes", "id")},
    "wandb.log_checkpoint": SWITCH,
}
EVALUATE: dict[str, Allowed] = {
    "num_samples": COUNT,
    "repeats": COUNT,
    "split": OneOf(("test", "val")),
    "confidence": Number(above=0, below=1, optional=True),
    "resize": OneOf(("crop", "area", "bilinear", "bicubic", "nearest"), optional=True),
    "invert": SWITCH,
}
GENERATE: dict[str, Allowed] = {
    "mode": OneOf(("sample", "class_sweep", "interpolate", "walk", "direction")),
    "num_images": Number(least=1, most=MAX_INDEX, whole=True, optional=True),
    "first": Number(least=0, most=MAX_INDEX, whole=True),
    "steps": Number(least=2, most=MAX_SHOWN, whole=True, optional=True),
    "truncation": Number(above=0, optional=True),
    **{f"directions.{name}": Number(least=-MAX_AMOUNT, most=MAX_AMOUNT) for name in DIRECTIONS},
    "direction": OneOf(DIRECTIONS, optional=True),
    "span": Number(above=0, most=MAX_AMOUNT),
    "select": OneOf(("classifier",), optional=True),
    "format": OneOf(("grid", "gif", "png", "npy", "npz", "idx"), optional=True),
    "split": OneOf(("train", "test")),
    "scale": Number(least=1, most=64, whole=True, optional=True),
    "shard_size": Number(least=1, most=MAX_INDEX, whole=True, optional=True),
    "overwrite": SWITCH,
}
EXPORT: dict[str, Allowed] = {
    "format": OneOf(("safetensors", "onnx"), optional=True),
    "dtype": OneOf(("float32", "float16")),
    "overwrite": SWITCH,
}
SHARED = {key: TRAIN[key] for key in TRAIN if key == "seed" or key.startswith("data.")}
BOUNDS = {"train": TRAIN, "evaluate": EVALUATE | SHARED, "generate": GENERATE, "export": EXPORT}
SEARCH = "sweep=optuna and --multirun"
KEYS_OF_CHOICES = {
    "wandb": "logger=wandb",
    "n_trials": SEARCH,
    "pruner": SEARCH,
    "hydra.launcher.n_jobs": "launcher=parallel",
}


def require(key: str, value: Any, command: str = "train") -> None:
    """Raises a UserError unless a key of a command may have this value."""
    BOUNDS[command][key].require(key, value)


def require_part(key: str, value: Any, *, optional: bool = False) -> None:
    """Raises a UserError unless a value is a mapping with a `_target_`, or None if it is optional."""
    if not (isinstance(value, Mapping) and "_target_" in value) and not (value is None and optional):
        raise UserError(f"{key}={value}: {{_target_: ..., and what that takes}}{', or null' if optional else ''}")


def unknown_key(key: str, known: Iterable[str], owner: str, elsewhere: Sequence[str] = ()) -> str:
    """The line for a key that its owner does not have: its closest ones, those `elsewhere`, or all that it has."""
    if key in KEYS_OF_CHOICES:
        return f"{key}: only with {KEYS_OF_CHOICES[key]}"
    names = sorted(known)
    if not names:
        return f"{key}: no such key; {owner} has none, only + adds one"
    if close := difflib.get_close_matches(key.rpartition(".")[2], names) or elsewhere:
        return f"{key}: no such key; did you mean {' or '.join(close)}?"
    return f"{key}: no such key; {owner} has {' '.join(names)}"
