"""Residual layers, normalizations and modulation."""

import pytest
import torch
from composed import module_of

from gan.errors import UserError
from gan.networks.layers import NORMS, ConditionalNorm2d, PixelNorm


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("{padding: 1}", r"\[0\]\.kernel_size=None: a whole number, 1 or more"),
        ("{kernel_size: 0}", r"\[0\]\.kernel_size=0: a whole number, 1 or more"),
        ("{kernel_size: 3, padding: -1}", r"\[0\]\.padding=-1: a whole number, 0 or more"),
        ("{kernel_size: 3, residual: 'no'}", r"\[0\]\.residual=no: true or false"),
        ("{kernel_size: 3, transposed: 1}", r"\[0\]\.transposed=1: true or false"),
        ("{kernel_size: 3, dilation: 2}", r"\[0\]\.dilation: no such key; a layer has kernel_size stride padding"),
    ],
)
def test_a_wrong_layer_is_named(layer, message):
    with pytest.raises(UserError, match=rf"model\.discriminator\.layers{message}"):
        module_of("dcgan", "model.discriminator.channels=[8]", f"model.discriminator.layers=[{layer}]")


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


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.generator.first_norm=batch", "model.generator.first_norm=batch: features or channels, or null"),
        ("model.generator.first_activation=no", "model.generator.first_activation=no: true or false"),
        ("model.generator.self_modulation=off", "model.generator.self_modulation=off: true or false"),
        ("model.generator.bias=no", "model.generator.bias=no: true or false"),
        ("model.discriminator.norm=off", "model.discriminator.norm=off: true or false"),
    ],
)
def test_words_are_no_switches(override, message):
    with pytest.raises(UserError, match=message):
        module_of("conditional", override)


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
