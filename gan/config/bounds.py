"""What the keys and values of a config may be, checked before heavy imports; constructors check their own values.

Those of `gan serve` are in `gan/serve/settings.py`. `gan.data.MNISTDataModule` checks what depends on the data.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gan.config.allowed import COUNT, OPTIONAL_COUNT, SEED, SIZE, SWITCH, Allowed, Number, OneOf, PathOf, Text
from gan.errors import UserError

MAX_INDEX = 10**15  # of an image of a seed
MAX_SHOWN = 10_000  # images in one picture or animation
SHOWN = Number(least=1, most=MAX_SHOWN, whole=True)
MAX_IN_MEMORY = 10**8  # images whose order or whose features are in memory
DIRECTIONS = ("slant", "thickness", "width", "size")
MAX_AMOUNT = 5  # standard deviations along a direction

TRAIN: dict[str, Allowed] = {
    "seed": SEED,
    "max_images": OPTIONAL_COUNT,
    "ckpt_path": PathOf("file", optional=True),
    "init_from": PathOf("file", optional=True),
    "compile": SWITCH,
    "deterministic": SWITCH,
    "threads": Number(least=1, most=1024, whole=True, optional=True),
    "cuda_graph": OneOf(("auto", True, False)),
    "on_divergence": OneOf(("stop", "rewind")),
    "steps_per_execution": OPTIONAL_COUNT,
    "n_trials": COUNT,
    "data.dir": PathOf("folder"),
    "data.download": SWITCH,
    "data.offline_fallback": SWITCH,
    "data.batch_size": COUNT,
    "data.val_size": SIZE,
    "data.val_batch_size": COUNT,
    "data.images_per_epoch": Number(least=1, most=MAX_IN_MEMORY, whole=True, optional=True),
    "data.stratified_batches": SWITCH,
    "data.rare_share": Number(least=0, most=1),
    "data.seed": SIZE,
    "data.source.num_images": OPTIONAL_COUNT,
    "model.seed": SEED,
    "model.max_images": OPTIONAL_COUNT,
    "model.latent_dim": COUNT,
    "model.num_classes": Number(least=2, whole=True, optional=True),
    "model.image_channels": OneOf((1, 3)),
    "model.discriminator_steps": COUNT,
    "model.generator_optimizer.lr": Number(least=0),
    "model.discriminator_optimizer.lr": Number(least=0),
    "model.gradient_clip_norm": Number(above=0, optional=True),
    "model.ema_half_life": Number(least=0),
    "model.ema_warmup": Number(above=0),
    "model.dcgan_initialization": SWITCH,
    "model.one_stage": SWITCH,
    "model.joint_batches": SWITCH,
    "model.shared_latents": SWITCH,
    "model.paired_labels": SWITCH,
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
    "trainer.check_val_every_n_epoch": OPTIONAL_COUNT,
    "trainer.limit_train_batches": Number(above=0, optional=True),
    "trainer.limit_val_batches": Number(least=0, optional=True),
    "trainer.num_sanity_val_steps": Number(least=-1, whole=True, optional=True),
    "trainer.log_every_n_steps": COUNT,
    "trainer.val_check_interval": Number(above=0, optional=True),
    "trainer.accelerator": OneOf(("auto", "cpu", "gpu", "cuda", "mps")),
    "trainer.benchmark": SWITCH,
    "trainer.detect_anomaly": SWITCH,
    "trainer.inference_mode": SWITCH,
    "trainer.enable_progress_bar": SWITCH,
    "trainer.deterministic": OneOf((True, False, "warn"), optional=True),
    "trainer.precision": OneOf(("auto", "32-true", "16-mixed", "bf16-mixed")),
    "callbacks.samples.seed": SEED,
    "callbacks.plots.seed": SEED,
    "callbacks.wandb.seed": SEED,
    "callbacks.samples.num_images": SHOWN,
    "callbacks.plots.num_images": SHOWN,
    "callbacks.wandb.num_images": SHOWN,
    "callbacks.samples.every_n_epochs": COUNT,
    "callbacks.samples.every_n_batches": OPTIONAL_COUNT,
    "callbacks.checkpoints.every_n_epochs": SIZE,
    "callbacks.checkpoints.every_n_minutes": Number(above=0, optional=True),
    "callbacks.checkpoints.keep_last": COUNT,
    "callbacks.budget.max_images": OPTIONAL_COUNT,
    "callbacks.progress_bar.refresh_rate": SIZE,
    "callbacks.wandb.log_checkpoint": SWITCH,
    "wandb.mode": OneOf(("online", "offline", "disabled")),
    "wandb.project": Text(),
    "wandb.entity": Text(optional=True),
    "wandb.group": Text(optional=True),
    "wandb.job_type": Text(optional=True),
    "wandb.name": Text(optional=True),
    "wandb.notes": Text(optional=True),
    "wandb.id": Text(optional=True),
    "wandb.log_checkpoint": SWITCH,
}
EVALUATE: dict[str, Allowed] = {
    "num_samples": Number(least=1, most=MAX_IN_MEMORY, whole=True),
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
