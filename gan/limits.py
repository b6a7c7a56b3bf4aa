"""What the numbers of `conf/model/` may be."""

from collections.abc import Mapping
from typing import Any

from gan.errors import UserError


def check_values(model: Mapping[str, Any]) -> None:
    """Refuses a model's hyperparameters that cannot work.

    Raises:
        UserError: the first such value.
    """
    for key, least in {"latent_dim": 1, "discriminator_steps": 1, "instance_noise": 0, "ema_half_life": 0}.items():
        _require(model, key, model[key] >= least, f"at least {least}")
    for key in ("gradient_clip_norm", "instance_noise_images", "classification_images", "max_images"):
        _require(model, key, model[key] is None or model[key] > 0, "null, or above 0")
    _require(model, "num_classes", model["num_classes"] is None or model["num_classes"] >= 2, "null, or at least 2")
    weight, conditional = model["classification_weight"], model["num_classes"] is not None
    _require(
        model, "classification_weight", weight == 0 or (weight > 0 and conditional), "0, or above 0 with num_classes"
    )
    _require(
        model, "one_stage", not model["one_stage"] or model["shared_latents"], "true only with shared_latents=true"
    )
    _require(model, "label_smoothing", 0 <= model["label_smoothing"] < 1, "0 <= s < 1")
    _require(model, "ema_warmup", model["ema_warmup"] > 0, "above 0, a share of the images seen")


def _require(model: Mapping[str, Any], key: str, fits: bool, allowed: str) -> None:
    if not fits:
        raise UserError(f"model.{key}={model[key]}: allowed is {allowed}")
