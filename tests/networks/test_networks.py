"""The published networks, layer for layer and parameter for parameter."""

import pytest
import torch
from composed import module_of, parameters
from torch import nn

from gan.config import compose


def layers(network):
    """The layers in order, each as (name, output channels or features, kernel, stride, padding, bias)."""
    rows = []
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            rows.append(("Linear", layer.out_features, layer.bias is not None))
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            shape = (layer.kernel_size[0], layer.stride[0], layer.padding[0])
            rows.append((type(layer).__name__, layer.out_channels, *shape, layer.bias is not None))
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            rows.append((type(layer).__name__, layer.num_features))
        elif isinstance(layer, nn.LeakyReLU):
            rows.append(("LeakyReLU", layer.negative_slope))
        elif isinstance(layer, nn.Dropout):
            rows.append(("Dropout", layer.p))
        elif isinstance(layer, nn.ReLU | nn.Tanh):
            rows.append((type(layer).__name__,))
    return rows


@pytest.mark.parametrize(
    ("model", "generator", "discriminator"),
    [
        ("dcgan", 1_948_353, 659_521),
        ("dcgan_compact", 765_761, 138_817),
        ("dcgan_deep", 2_732_929, 2_528_065),
        ("dcgan_ttur", 298_761, 212_865),
    ],
)
def test_parameter_counts(model, generator, discriminator):
    module = module_of(model)
    assert (parameters(module.generator), parameters(module.discriminator)) == (generator, discriminator)
    images = module.generator(torch.randn(3, 100))
    assert images.shape == (3, 1, 28, 28)
    assert images.abs().max() <= 1
    assert module.discriminator(images).shape == (3,)


def test_system_a_layers():
    module = module_of("dcgan")
    assert layers(module.generator) == [
        ("Linear", 12544, True),
        ("BatchNorm1d", 12544),
        ("ReLU",),
        ("ConvTranspose2d", 128, 4, 2, 1, False),
        ("BatchNorm2d", 128),
        ("ReLU",),
        ("ConvTranspose2d", 64, 4, 2, 1, False),
        ("BatchNorm2d", 64),
        ("ReLU",),
        ("Conv2d", 1, 3, 1, 1, True),
        ("Tanh",),
    ]
    assert layers(module.discriminator) == [
        ("Conv2d", 64, 4, 2, 1, True),
        ("LeakyReLU", 0.2),
        ("Dropout", 0.3),
        ("Conv2d", 128, 4, 2, 1, False),
        ("BatchNorm2d", 128),
        ("LeakyReLU", 0.2),
        ("Dropout", 0.3),
        ("Conv2d", 256, 4, 2, 1, False),
        ("BatchNorm2d", 256),
        ("LeakyReLU", 0.2),
        ("Dropout", 0.3),
        ("Linear", 1, True),
    ]


def test_system_b_layers():
    module = module_of("dcgan_compact")
    assert layers(module.generator) == [
        ("Linear", 6272, True),
        ("ConvTranspose2d", 64, 4, 2, 1, True),
        ("BatchNorm2d", 64),
        ("ReLU",),
        ("ConvTranspose2d", 1, 4, 2, 1, True),
        ("Tanh",),
    ]
    assert layers(module.discriminator) == [
        ("Conv2d", 64, 4, 2, 1, True),
        ("LeakyReLU", 0.2),
        ("Conv2d", 128, 4, 2, 1, True),
        ("BatchNorm2d", 128),
        ("LeakyReLU", 0.2),
        ("Linear", 1, True),
    ]


def test_system_c_channels():
    module = module_of("dcgan_deep")
    transposed = [layer for layer in module.generator.modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert [layer.in_channels for layer in transposed] == [512, 256, 128, 64]
    assert transposed[-1].out_channels == 1
    convolutions = [layer for layer in module.discriminator.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [64, 128, 256, 512]


def test_system_d_layers():
    module = module_of("dcgan_ttur")
    assert layers(module.generator) == [
        ("Linear", 1008, True),
        ("ConvTranspose2d", 56, 5, 1, 0, True),
        ("BatchNorm2d", 56),
        ("LeakyReLU", 0.2),
        ("ConvTranspose2d", 28, 5, 2, 2, True),
        ("BatchNorm2d", 28),
        ("LeakyReLU", 0.2),
        ("ConvTranspose2d", 1, 5, 2, 2, True),
        ("Tanh",),
    ]
    assert layers(module.discriminator) == [
        ("Conv2d", 64, 5, 2, 2, True),
        ("LeakyReLU", 0.2),
        ("Dropout", 0.3),
        ("Conv2d", 128, 5, 2, 2, True),
        ("LeakyReLU", 0.2),
        ("Dropout", 0.3),
        ("Linear", 1, True),
    ]


@pytest.mark.parametrize("model", ["dcgan", "dcgan_compact", "dcgan_deep", "dcgan_ttur"])
def test_sizes_can_be_overridden(model):
    width = len(compose("train", [f"model={model}"]).model.generator.channels)
    depth = len(compose("train", [f"model={model}"]).model.discriminator.channels)
    module = module_of(
        model,
        "model.latent_dim=7",
        f"model.generator.channels={[8] * width}",
        f"model.discriminator.channels={[6] * depth}",
        "model.discriminator.dropout=0.4",
        "model.num_classes=10",
    )
    labels = torch.tensor([0, 9])
    images = module.generator(torch.randn(2, 7), labels)
    assert module.discriminator(images, labels).shape == (2,)
    assert ("Dropout", 0.4) in layers(module.discriminator)


def test_dcgan_initialization():
    module = module_of("dcgan")
    weights = torch.cat(
        [layer.weight.flatten() for layer in module.generator.modules() if isinstance(layer, nn.Linear)]
    )
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)
    assert weights.mean().abs().item() < 1e-3
