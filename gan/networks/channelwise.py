"""Networks for images whose channels are pictures of one kind, such as the digits of StackedMNIST.

The convolutions treat each channel alone, all with the same weights. Linear layers learn which pictures come together.
"""

from typing import Any

from torch import Tensor, nn

from gan.config.allowed import COUNT
from gan.errors import UserError
from gan.networks.discriminator import ConvDiscriminator
from gan.networks.generator import ConvGenerator
from gan.networks.layers import activation


class ChannelwiseGenerator(nn.Module):
    """A linear layer makes a latent vector for each channel, and one `ConvGenerator` makes each channel from its own.

    Args:
        latent_dim: length of an image's latent vector.
        channel_latent_dim: length of a channel's.
        image_channels: channels of an image.
        num_classes: None; the network is unconditional.
        arguments: the others of `ConvGenerator`.

    Raises:
        UserError: as `ConvGenerator`; also for classes.
    """

    def __init__(
        self, latent_dim: int, channel_latent_dim: int, image_channels: int, num_classes: int | None, **arguments: Any
    ) -> None:
        super().__init__()
        COUNT.require("model.generator.channel_latent_dim", channel_latent_dim)
        refuse_classes(num_classes)
        self.latents = nn.Linear(latent_dim, image_channels * channel_latent_dim)
        nn.init.orthogonal_(self.latents.weight)  # a square matrix: the channels start independent
        self.channel = ConvGenerator(channel_latent_dim, **arguments)
        self.image_channels = image_channels

    def forward(self, latents: Tensor, labels: None = None) -> Tensor:
        """latents float [N, latent_dim] -> images float [N, C, 28, 28] in [-1, 1]."""
        of_channels = self.latents(latents).unflatten(1, (self.image_channels, -1)).flatten(0, 1)
        return self.channel(of_channels).unflatten(0, (-1, self.image_channels)).squeeze(2)


class ChannelwiseDiscriminator(nn.Module):
    """The convolutions of a `ConvDiscriminator` see each channel; a hidden layer and a linear one judge all together.

    Args:
        hidden: features of the hidden layer.
        image_channels: channels of an image.
        num_classes: None; the network is unconditional.
        negative_slope: of LeakyReLU.
        arguments: the others of `ConvDiscriminator`.

    Raises:
        UserError: as `ConvDiscriminator`; also for classes.
    """

    def __init__(
        self,
        hidden: int,
        image_channels: int,
        num_classes: int | None,
        negative_slope: float = 0.2,
        **arguments: Any,
    ) -> None:
        super().__init__()
        COUNT.require("model.discriminator.hidden", hidden)
        refuse_classes(num_classes)
        channel = ConvDiscriminator(negative_slope=negative_slope, **arguments)
        self.channel = channel.body
        features = image_channels * channel.head.in_features
        self.hidden = nn.Sequential(nn.Linear(features, hidden), activation(negative_slope))
        self.head = nn.Linear(hidden, 1)

    def forward(self, images: Tensor, labels: None = None) -> Tensor:
        """Logits float [N] of images float [N, C, 28, 28] in [-1, 1]."""
        features = self.channel(images.flatten(0, 1).unsqueeze(1)).unflatten(0, images.shape[:2]).flatten(1)
        return self.head(self.hidden(features)).squeeze(1)


def refuse_classes(num_classes: int | None) -> None:
    if num_classes is not None:
        raise UserError(f"model.num_classes={num_classes}: null for channelwise networks, which are unconditional")
