"""The discriminator: convolutions down to a feature map, then one linear layer to a logit."""

from collections.abc import Sequence

from torch import Tensor, nn

from gan.networks.layers import IMAGE_SIZE, Layer, activation, check_layers, convolution, output_side


class ConvDiscriminator(nn.Module):
    """(convolution, [normalization], LeakyReLU, dropout) x n -> linear, plus a projection of the label if there is one.

    The projection adds <embedding(label), features> to the logit (Miyato and Koyama 2018, arXiv:1802.05637).

    Args:
        channels: channels that leave each of the layers.
        layers: `kernel_size`, `stride` and `padding` of each convolution.
        norm: batch normalization after every convolution but the first.
        bias: whether convolutions followed by a normalization have a bias.
        dropout: share of the features dropped after each activation, 0..1.
        negative_slope: of LeakyReLU.
        image_channels: 1 for grey images, 3 for colour.
        num_classes: with it, logits are conditional on the label.

    Raises:
        UserError: lists of different lengths, or layers that leave nothing of a 28x28 image.
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
        body: list[nn.Module] = []
        for index, (inputs, outputs, layer) in enumerate(
            zip([image_channels, *channels], channels, layers, strict=False)
        ):
            normalized = norm and index > 0
            body.append(convolution(inputs, outputs, layer, bias or not normalized))
            if normalized:
                body.append(nn.BatchNorm2d(outputs))
            body.append(activation(negative_slope))
            if dropout:
                body.append(nn.Dropout(dropout))
        features = channels[-1] * output_side("discriminator", IMAGE_SIZE, layers) ** 2
        self.body = nn.Sequential(*body, nn.Flatten())
        self.head = nn.Linear(features, 1)
        self.projection = nn.Embedding(num_classes, features) if num_classes else None
        if self.projection is not None:
            nn.init.zeros_(self.projection.weight)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """images float [N, C, 28, 28] in [-1, 1], labels int64 [N] -> logits float [N]."""
        features = self.body(images)
        logits = self.head(features).squeeze(1)
        if self.projection is None:
            return logits
        return logits + (self.projection(labels) * features).sum(1)
