"""The published networks, layer for layer and parameter for parameter."""

import pytest
import torch
from torch import nn

from gan.config import compose, instantiate
from gan.errors import UserError
from gan.networks.layers import NORMS, ConditionalNorm2d, PixelNorm


def module_of(model, *overrides):
    return instantiate(compose("train", [f"model={model}", *overrides]).model)


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


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


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


def test_wrong_lists_name_the_key():
    with pytest.raises(UserError, match=r"model\.generator\.channels=\[8\]: give 3 positive numbers"):
        module_of("dcgan", "model.generator.channels=[8]")
    with pytest.raises(UserError, match=r"model\.generator\.layers: they end at 112x112"):
        module_of("dcgan", "model.generator.first_side=28")


def test_a_residual_layer_adds_to_its_input():
    residual = "{kernel_size: 3, padding: 1, residual: true}"
    large = "{kernel_size: 4, stride: 2, padding: 1}"
    module = module_of(
        "conditional",
        "model.discriminator.channels=[8,8,8]",
        f"model.discriminator.layers=[{large},{large},{residual}]",
        "model.generator.channels=[8,8,8]",
        f"model.generator.layers=[{residual},{large[:-1]}, transposed: true}},{large[:-1]}, transposed: true}}]",
    )
    images, labels = torch.rand(2, 1, 28, 28), torch.tensor([3, 4])
    features = module.discriminator.body[:-2](images)
    (convolution, activation) = module.discriminator.body[-2]
    assert torch.equal(module.discriminator.body[-2](features), features + activation(convolution(features)))
    assert module.generator(torch.randn(2, module.latent_dim), labels).shape == (2, 1, 28, 28)


def test_logits_of_every_label():
    module = module_of("conditional")
    torch.nn.init.normal_(module.discriminator.projection.weight)
    images, labels = torch.rand(4, 1, 28, 28), torch.tensor([0, 3, 9, 3])
    logits = module.discriminator(images)
    assert logits.shape == (4, 10)
    assert torch.allclose(logits[range(4), labels], module.discriminator(images, labels), atol=1e-4)


def test_a_residual_layer_keeps_channels_and_side():
    with pytest.raises(UserError, match="residual"):
        module_of(
            "dcgan",
            "model.discriminator.channels=[8,8]",
            "model.discriminator.layers=[{kernel_size: 3, stride: 2, residual: true},{kernel_size: 3}]",
        )


def test_pixel_norm_has_unit_mean_square_at_each_pixel():
    torch.manual_seed(0)
    norm = PixelNorm(3)
    features = 5 * torch.randn(4, 3, 7, 7) + 1
    torch.testing.assert_close(norm(features).square().mean(1), torch.ones(4, 7, 7))
    torch.testing.assert_close(norm(features)[:1], norm(features[:1]))
    norm.weight.data, norm.bias.data = torch.tensor([2.0, 1.0, 1.0]), torch.tensor([0.0, 3.0, 0.0])
    plain = PixelNorm(3, affine=False)(features)
    expected = torch.stack([2 * plain[:, 0], plain[:, 1] + 3, plain[:, 2]], 1)
    torch.testing.assert_close(norm(features), expected)


@pytest.mark.parametrize("classes", ["null", "10"])
def test_any_generator_takes_pixel_norm(classes):
    module = module_of("dcgan_compact", "+model.generator.norm=pixel", f"model.num_classes={classes}")
    kinds = {type(layer).__name__ for layer in module.generator.modules()}
    assert "PixelNorm" in kinds
    assert "BatchNorm2d" not in kinds
    with pytest.raises(UserError, match=r"model\.generator\.norm=group: batch or pixel"):
        module_of("dcgan_compact", "+model.generator.norm=group")


@pytest.mark.parametrize("kind", NORMS)
@pytest.mark.parametrize("num_classes", [10, None])
def test_self_modulation_scales_each_normalization_by_the_latents(num_classes, kind):
    torch.manual_seed(0)
    norm = ConditionalNorm2d(3, num_classes, latent_dim=5, kind=kind).eval()
    labels = torch.arange(4) if num_classes else None
    features, latents = torch.randn(4, 3, 7, 7), torch.randn(4, 5)
    more_scale, more_shift = (latents @ norm.modulation.weight.t()).chunk(2, dim=1)
    expected = norm.norm(features) * (1 + more_scale)[:, :, None, None] + more_shift[:, :, None, None]
    torch.testing.assert_close(norm(features, labels, latents), expected)
    assert not torch.equal(norm(features, labels, latents), norm(features, labels, torch.zeros(4, 5)))


@pytest.mark.parametrize("classes", ["null", "10"])
def test_self_modulation_adds_one_linear_function_for_each_normalization(classes):
    plain = module_of("dcgan_compact", "model.generator.first_norm=channels", f"model.num_classes={classes}")
    modulated = module_of(
        "dcgan_compact",
        "model.generator.first_norm=channels",
        f"model.num_classes={classes}",
        "+model.generator.self_modulation=true",
    )
    extra = parameters(modulated.generator) - parameters(plain.generator)
    assert extra == 2 * 100 * (128 + 64)
    labels = torch.arange(2) if classes == "10" else None
    assert modulated.generator(torch.randn(2, 100), labels).shape == (2, 1, 28, 28)
