"""Generators and discriminators: plain modules, their layers given by lists in `conf/model/`."""

from gan.networks.discriminator import ConvDiscriminator
from gan.networks.generator import ConvGenerator

__all__ = ["ConvDiscriminator", "ConvGenerator"]
