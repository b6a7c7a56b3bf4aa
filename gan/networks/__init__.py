"""Generators and discriminators: plain modules, their layers given by lists in `conf/model/`."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from gan.config.bounds import require
from gan.config.targets import build
from gan.errors import UserError
from gan.networks.channelwise import ChannelwiseDiscriminator, ChannelwiseGenerator
from gan.networks.discriminator import ConvDiscriminator
from gan.networks.generator import ConvGenerator
from gan.networks.layers import initialize_dcgan

__all__ = [
    "ChannelwiseDiscriminator",
    "ChannelwiseGenerator",
    "ConvDiscriminator",
    "ConvGenerator",
    "build_networks",
]


def build_networks(
    generator: Mapping[str, Any],
    discriminator: Mapping[str, Any],
    latent_dim: int,
    num_classes: int | None,
    image_channels: int,
    dcgan_initialization: bool = False,
    trust: Sequence[str] = (),
) -> tuple[nn.Module, nn.Module]:
    """Both networks, from dicts that name their class as `_target_`: unconditional without `num_classes`.

    Raises:
        UserError: an impossible value, named with its key, or a class that is not trusted.
    """
    require("model.latent_dim", latent_dim)
    require("model.num_classes", num_classes)
    require("model.image_channels", image_channels)
    require("model.dcgan_initialization", dcgan_initialization)
    own, shared = ["gan.networks"], {"num_classes": num_classes, "image_channels": image_channels}
    networks = (
        build(generator, "model.generator", own, trust, latent_dim=latent_dim, **shared),
        build(discriminator, "model.discriminator", own, trust, **shared),
    )
    for name, network in zip(("generator", "discriminator"), networks, strict=True):
        if any(map(is_lazy, (*network.parameters(), *network.buffers()))):
            raise UserError(f"model.{name}: it has lazy layers, whose sizes are not known yet; give them theirs")
    if dcgan_initialization:
        for network in networks:
            initialize_dcgan(network)
    return networks
