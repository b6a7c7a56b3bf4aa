"""Checkpoints of untrained generators, as small as they can be, whose ten digits differ."""

import os

import torch
from torch import nn

from gan.networks import ConvGenerator

LAYERS = [{"kernel_size": 4, "stride": 2, "padding": 1, "transposed": True}] * 2


def save_checkpoint(path, num_classes=10, image_channels=1):
    """Writes what a run's checkpoint has of a generator, and returns its path."""
    shape = {"latent_dim": 8, "num_classes": num_classes, "image_channels": image_channels}
    options = {"channels": [4, 4], "layers": LAYERS, "first_norm": "channels"}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = ConvGenerator(**shape, **options)
        for module in network.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight)
    checkpoint = {
        "state_dict": {f"generator_ema.{name}": value for name, value in network.state_dict().items()},
        "hyper_parameters": {**shape, "generator": {"_target_": "gan.networks.ConvGenerator", **options}},
        "epoch": 4,
        "images_seen": 320,
        "data": "digits",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint, path)
    return path


def replace(path, images_seen):
    """Replaces a checkpoint by one with other weights, as a training run does."""
    new = save_checkpoint(path.with_name("new.ckpt"))
    checkpoint = torch.load(new, weights_only=True)
    checkpoint["state_dict"] = {name: value + images_seen / 1000 for name, value in checkpoint["state_dict"].items()}
    torch.save(checkpoint | {"images_seen": images_seen}, new)
    os.replace(new, path)


def save_checkpoints(folder):
    """One of each kind of generator, by name: conditional, unconditional and colour."""
    return {
        "conditional": save_checkpoint(folder / "conditional.ckpt"),
        "unconditional": save_checkpoint(folder / "unconditional.ckpt", num_classes=None),
        "colour": save_checkpoint(folder / "colour.ckpt", num_classes=None, image_channels=3),
    }
