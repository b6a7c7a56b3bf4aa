"""The generator: a linear layer, then convolutions that enlarge its feature map to an image.

Its layers are lists in conf/model/: another arrangement needs no code.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gan.config.allowed import COUNT, Number, OneOf
from gan.errors import UserError
from gan.networks.layers import (
    IMAGE_SIZE,
    NORMS,
    ConditionalNorm2d,
    ConditionalSequential,
    Layer,
    activation,
    check_layers,
    convolution,
    output_side,
    require_switches,
    stage,
)


class ConvGenerator(nn.Module):
    """Linear -> [normalization, activation] -> (convolution, normalization, activation) x n -> convolution -> tanh.

    Args:
        latent_dim: length of the latent vector.
        channels: channels that enter each of the layers; the first are those of the linear layer's feature map.
        layers: `kernel_size`, `stride`, `padding`, `output_padding`, `transposed` and `residual` of each convolution;
            the last one makes the image.
        first_side: side in pixels of the linear layer's feature map.
        norm: normalization after each convolution but the last: "batch" or "pixel".
        first_norm: normalization after the linear layer: "features" (each of its outputs), "channels" or None.
        first_activation: whether an activation follows it.
        bias: whether convolutions followed by a normalization have a bias.
        negative_slope: of LeakyReLU; 0 is ReLU.
        self_modulation: whether normalizations of channels take their scale and shift from the latent vector as well.
        image_channels: 1 for grey images, 3 for colour.
        num_classes: with it, normalizations of channels are conditional on the label.

    Raises:
        UserError: lists of different lengths, an impossible value, or layers that do not end at 28x28.
    """

    def __init__(
        self,
        latent_dim: int,
        channels: Sequence[int],
        layers: Sequence[Layer],
        first_side: int = 7,
        norm: str = "batch",
        first_norm: str | None = "features",
        first_activation: bool = True,
        bias: bool = False,
        negative_slope: float = 0.0,
        self_modulation: bool = False,
        image_channels: int = 1,
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        check_layers("generator", channels, layers)
        require_switches("generator", first_activation=first_activation, bias=bias, self_modulation=self_modulation)
        COUNT.require("model.generator.first_side", first_side)
        Number(least=0).require("model.generator.negative_slope", negative_slope)
        OneOf(tuple(NORMS)).require("model.generator.norm", norm)
        OneOf(("features", "channels"), optional=True).require("model.generator.first_norm", first_norm)
        side = output_side("generator", first_side, layers)
        if side != IMAGE_SIZE:
            raise UserError(
                f"model.generator.layers: they end at {side}x{side} pixels, images are {IMAGE_SIZE}x{IMAGE_SIZE}"
            )
        first_features = channels[0] * first_side**2

        def normalization(features: int) -> nn.Module:
            if num_classes or self_modulation:
                return ConditionalNorm2d(features, num_classes, latent_dim if self_modulation else None, norm)
            return NORMS[norm](features)

        body: list[nn.Module] = [nn.Linear(latent_dim, first_features)]
        if first_norm == "features":
            body.append(nn.BatchNorm1d(first_features))
        body.append(nn.Unflatten(1, (channels[0], first_side, first_side)))
        if first_norm == "channels":
            body.append(normalization(channels[0]))
        if first_activation:
            body.append(activation(negative_slope))
        for inputs, outputs, layer in zip(channels, channels[1:], layers, strict=False):
            modules = convolution(inputs, outputs, layer, bias), normalization(outputs), activation(negative_slope)
            body += stage(inputs, outputs, layer, *modules)
        body += [convolution(channels[-1], image_channels, layers[-1], bias=True), nn.Tanh()]
        self.body = ConditionalSequential(*body)
        self.to(memory_format=torch.channels_last)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """latents float [N, latent_dim], labels int64 [N] -> images float [N, C, 28, 28] in [-1, 1]."""
        return self.body(latents, labels, latents)
