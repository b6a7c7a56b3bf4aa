"""The discriminator: convolutions down to a feature map, then one linear layer to a logit."""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from gan.config.allowed import Number
from gan.networks.layers import (
    IMAGE_SIZE,
    Layer,
    activation,
    check_layers,
    convolution,
    output_side,
    require_switches,
    stage,
)


class ConvDiscriminator(nn.Module):
    """(convolution, [normalization], LeakyReLU, dropout) x n -> linear, plus a projection of the label if there is one.

    The projection adds <embedding(label), features> to the logit (Miyato and Koyama 2018, arXiv:1802.05637).

    Args:
        channels: channels that leave each of the layers.
        layers: `kernel_size`, `stride`, `padding` and `residual` of each convolution.
        norm: batch normalization after every convolution but the first.
        bias: whether convolutions followed by a normalization have a bias.
        dropout: share of the features dropped after each activation, 0..1.
        negative_slope: of LeakyReLU.
        image_channels: 1 for grey images, 3 for colour.
        num_classes: with it, logits are conditional on the label.

    Raises:
        UserError: lists of different lengths, an impossible value, or layers that leave nothing of a 28x28 image.
    """

    def __init__(
        self,
        channels: Sequence[int],
        layers: Sequence[Layer],
        norm: bool = True,
        bias: bool = False,
        dropout: float = 0.0,
        negative_slope: float = 0.2,
        image_channels: int = 1,
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        check_layers("discriminator", channels, layers)
        require_switches("discriminator", norm=norm, bias=bias)
        Number(least=0).require("model.discriminator.negative_slope", negative_slope)
        Number(least=0, most=1).require("model.discriminator.dropout", dropout)
        features = channels[-1] * output_side("discriminator", IMAGE_SIZE, layers) ** 2
        body: list[nn.Module] = []
        sizes = zip([image_channels, *channels], channels, layers, strict=False)
        for index, (inputs, outputs, layer) in enumerate(sizes):
            normalized = norm and index > 0
            modules = [convolution(inputs, outputs, layer, bias or not normalized)]
            if normalized:
                modules.append(nn.BatchNorm2d(outputs))
            modules.append(activation(negative_slope))
            if dropout:
                modules.append(nn.Dropout(dropout))
            body += stage(inputs, outputs, layer, *modules)
        self.body = nn.Sequential(*body, nn.Flatten())
        self.head = nn.Linear(features, 1)
        self.projection = nn.Embedding(num_classes, features) if num_classes else None
        if self.projection is not None:
            nn.init.zeros_(self.projection.weight)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits float [N] of images float [N, C, 28, 28] in [-1, 1] with labels int64 [N].

        A conditional discriminator that is given no labels returns those of every label: float [N, num_classes].
        """
        features = self.body(images)
        logits = self.head(features)
        if self.projection is not None and labels is None:
            return logits + features @ self.projection.weight.t()
        logits = logits.squeeze(1)
        return logits if self.projection is None else logits + (self.projection(labels) * features).sum(1)


def judges_by_batch(discriminator: nn.Module, image_channels: int, num_classes: int | None) -> bool:
    """Whether an image's logit depends on the other images of its batch, as with batch normalization in training.

    It is measured on a copy: neither the network nor the global generator is changed.
    """
    if any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in discriminator.modules()):
        return True  # also where a last layer of zeros hides it
    images = torch.rand(4, image_channels, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(4) % num_classes if num_classes else None
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        logits = deepcopy(discriminator)(images.requires_grad_(), labels)
        (gradients,) = torch.autograd.grad(logits[0].sum(), images)
    return bool(gradients[1:].any())
