"""The pieces both networks are made of."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gan.config.allowed import COUNT, SIZE, SWITCH
from gan.errors import UserError

Layer = Mapping[str, int | bool]
KEYS_OF_LAYERS = {
    "kernel_size": COUNT,
    "stride": COUNT,
    "padding": SIZE,
    "output_padding": SIZE,
    "transposed": SWITCH,
    "residual": SWITCH,
}
IMAGE_SIZE = 28
MODULATION_STD = 0.02


class PixelNorm(nn.Module):
    """Each pixel's features over their root mean square (Karras et al. 2018, arXiv:1710.10196), then scale and shift.

    No statistics of a batch enter it, nor anything that differs between training and evaluation.
    """

    def __init__(self, num_features: int, affine: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None

    def forward(self, features: Tensor) -> Tensor:
        """float [N, C, H, W] -> float [N, C, H, W]."""
        normalized = features * (features.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        if self.weight is None or self.bias is None:
            return normalized
        return torch.addcmul(self.bias[:, None, None], normalized, self.weight[:, None, None])


NORMS = {"batch": nn.BatchNorm2d, "pixel": PixelNorm}


class ConditionalNorm2d(nn.Module):
    """Normalization whose scale and shift are looked up by class (de Vries et al. 2017, arXiv:1707.00683).

    With a latent_dim, a linear function of the latent vector is added to both (self-modulation, Chen et al. 2019,
    arXiv:1810.01365); the class may then be missing. `kind` is one of NORMS.
    """

    def __init__(
        self, num_features: int, num_classes: int | None, latent_dim: int | None = None, kind: str = "batch"
    ) -> None:
        super().__init__()
        self.norm = NORMS[kind](num_features, affine=num_classes is None)
        if num_classes:
            self.scale = nn.Embedding(num_classes, num_features)
            self.shift = nn.Embedding(num_classes, num_features)
            nn.init.ones_(self.scale.weight)
            nn.init.zeros_(self.shift.weight)
        if latent_dim:
            self.modulation = nn.Linear(latent_dim, 2 * num_features, bias=False)
            nn.init.normal_(self.modulation.weight, 0.0, MODULATION_STD)
        self.by_class, self.by_latent = bool(num_classes), bool(latent_dim)

    def forward(self, features: Tensor, labels: Tensor | None, latents: Tensor | None = None) -> Tensor:
        """features float [N, C, H, W], labels int64 [N], latents float [N, latent_dim] -> float [N, C, H, W]."""
        scale: Any
        shift: Any
        scale, shift = (self.scale(labels), self.shift(labels)) if self.by_class else (1.0, 0.0)
        if self.by_latent:
            more_scale, more_shift = self.modulation(latents).chunk(2, dim=1)
            scale, shift = scale + more_scale, shift + more_shift
        return torch.addcmul(shift[:, :, None, None], self.norm(features), scale[:, :, None, None])


class ConditionalSequential(nn.Sequential):
    """A sequence that hands labels and latents to the layers that want them."""

    def forward(self, features: Tensor, labels: Tensor | None = None, latents: Tensor | None = None) -> Tensor:
        for layer in self:
            conditional = isinstance(layer, ConditionalNorm2d | Residual)
            features = layer(features, labels, latents) if conditional else layer(features)
        return features


class Residual(ConditionalSequential):
    """A sequence whose output is added to its input (He et al. 2016, arXiv:1512.03385)."""

    def forward(self, features: Tensor, labels: Tensor | None = None, latents: Tensor | None = None) -> Tensor:
        return features + super().forward(features, labels, latents)


def activation(negative_slope: float) -> nn.Module:
    """ReLU, or LeakyReLU where the slope is not zero."""
    return nn.LeakyReLU(negative_slope) if negative_slope else nn.ReLU()


def check_layers(name: str, channels: Sequence[int], layers: Sequence[Layer]) -> None:
    """Raises a UserError where the two lists differ in length, or for what no channels or layer can be."""
    for option, given in {"channels": channels, "layers": layers}.items():
        if not isinstance(given, Sequence) or isinstance(given, str):
            raise UserError(f"model.{name}.{option}={given}: a list")
    if len(channels) != len(layers) or not channels or not all(COUNT.has(number) for number in channels):
        raise UserError(
            f"model.{name}.channels={list(channels)}: give {len(layers)} positive numbers, "
            f"one for each entry of model.{name}.layers"
        )
    for number, layer in enumerate(layers):
        key = f"model.{name}.layers[{number}]"
        if not isinstance(layer, Mapping):
            raise UserError(f"{key}={layer}: a layer is {{kernel_size: ...}}, with any of {' '.join(KEYS_OF_LAYERS)}")
        if unknown := sorted({*layer} - {*KEYS_OF_LAYERS}):
            raise UserError(f"{key}.{unknown[0]}: no such key; a layer has {' '.join(KEYS_OF_LAYERS)}")
        for option, value in {"kernel_size": None, **layer}.items():
            KEYS_OF_LAYERS[option].require(f"{key}.{option}", value)


def require_switches(name: str, **switches: bool) -> None:
    """Raises a UserError for an option of a network that is not true or false, such as the text `no`."""
    for option, value in switches.items():
        SWITCH.require(f"model.{name}.{option}", value)


def stage(inputs: int, outputs: int, layer: Layer, *modules: nn.Module) -> list[nn.Module]:
    """A convolution and what follows it; around a layer that says `residual: true` goes a skip connection.

    Raises a UserError where such a layer changes the number of channels or the side.
    """
    if not layer.get("residual", False):
        return list(modules)
    if inputs != outputs or output_side("", IMAGE_SIZE, [layer]) != IMAGE_SIZE:
        raise UserError(
            f"model: the residual layer {dict(layer)} makes {outputs} channels of {inputs}; it must keep channels "
            "and side, as kernel_size=3, padding=1 does"
        )
    return [Residual(*modules)]


def convolution(inputs: int, outputs: int, layer: Layer, bias: bool) -> nn.Module:
    """Conv2d, or ConvTranspose2d for a layer that says `transposed: true`."""
    arguments = {key: value for key, value in layer.items() if key not in ("transposed", "residual")}
    kind: Callable[..., nn.Module] = nn.ConvTranspose2d if layer.get("transposed", False) else nn.Conv2d
    return kind(inputs, outputs, bias=bias, **arguments)


def output_side(name: str, side: int, layers: Sequence[Layer]) -> int:
    """Side of the feature map that layers make of one of `side` pixels; a UserError where nothing is left."""
    for layer in layers:
        kernel, stride, padding = layer["kernel_size"], layer.get("stride", 1), layer.get("padding", 0)
        if layer.get("transposed", False):
            side = (side - 1) * stride - 2 * padding + kernel + layer.get("output_padding", 0)
        else:
            side = (side + 2 * padding - kernel) // stride + 1
        if side < 1:
            raise UserError(f"model.{name}.layers: the feature map shrinks to nothing at {dict(layer)}")
    return side


def initialize_dcgan(network: nn.Module) -> None:
    """Weights N(0, 0.02), those of batch normalization N(1, 0.02) (Radford et al. 2016, arXiv:1511.06434)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.affine:
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)
