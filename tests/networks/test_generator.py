"""The generator: the published ones layer for layer, and what its options change."""

import pytest
import torch
from composed import layers, module_of, parameters, published
from torch import nn

from gan.errors import UserError

PUBLISHED = {
    "dcgan": [
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
    ],
    "dcgan_compact": [
        ("Linear", 6272, True),
        ("ConvTranspose2d", 64, 4, 2, 1, True),
        ("BatchNorm2d", 64),
        ("ReLU",),
        ("ConvTranspose2d", 1, 4, 2, 1, True),
        ("Tanh",),
    ],
    "dcgan_ttur": [
        ("Linear", 1008, True),
        ("ConvTranspose2d", 56, 5, 1, 0, True),
        ("BatchNorm2d", 56),
        ("LeakyReLU", 0.2),
        ("ConvTranspose2d", 28, 5, 2, 2, True),
        ("BatchNorm2d", 28),
        ("LeakyReLU", 0.2),
        ("ConvTranspose2d", 1, 5, 2, 2, True),
        ("Tanh",),
    ],
}


@pytest.mark.parametrize("model", PUBLISHED)
def test_its_layers_are_the_published_ones(model):
    assert layers(published(model).generator) == PUBLISHED[model]


def test_the_deep_one_narrows_from_512_channels():
    generator = published("dcgan_deep").generator
    transposed = [layer for layer in generator.modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert [layer.in_channels for layer in transposed] == [512, 256, 128, 64]
    assert transposed[-1].out_channels == 1


def test_wrong_lists_name_the_key():
    with pytest.raises(UserError, match=r"model\.generator\.channels=\[8\]: give 3 positive numbers"):
        module_of("dcgan", "model.generator.channels=[8]")
    with pytest.raises(UserError, match=r"^model\.generator\.channels=8: a list$"):
        module_of("dcgan", "model.generator.channels=8")
    with pytest.raises(UserError, match=r"^model\.generator\.first_side=0: a whole number, 1 or more$"):
        module_of("dcgan", "model.generator.first_side=0")
    with pytest.raises(UserError, match=r"model\.generator\.layers: they end at 112x112"):
        module_of("dcgan", "model.generator.first_side=28")


@pytest.mark.parametrize("classes", ["null", "10"])
def test_any_generator_takes_pixel_norm(classes):
    module = module_of("dcgan_compact", "+model.generator.norm=pixel", f"model.num_classes={classes}")
    kinds = {type(layer).__name__ for layer in module.generator.modules()}
    assert "PixelNorm" in kinds
    assert "BatchNorm2d" not in kinds
    with pytest.raises(UserError, match=r"model\.generator\.norm=group: batch or pixel"):
        module_of("dcgan_compact", "+model.generator.norm=group")


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
