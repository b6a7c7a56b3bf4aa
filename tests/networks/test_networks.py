"""Both networks of a model: their sizes and their first weights."""

import pytest
import torch
from composed import layers, module_of, parameters, published
from torch import nn

from gan.config import compose
from gan.errors import UserError


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
    module = published(model)
    assert (parameters(module.generator), parameters(module.discriminator)) == (generator, discriminator)
    images = module.generator(torch.randn(3, 100))
    assert images.shape == (3, 1, 28, 28)
    assert images.abs().max() <= 1
    assert module.discriminator(images).shape == (3,)


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


@pytest.mark.parametrize("name", ["generator", "discriminator"])
def test_lazy_layers_are_refused_by_the_networks_key(monkeypatch, name):
    class Lazy(nn.LazyLinear):
        def __init__(self, **_):
            super().__init__(4)

    monkeypatch.setattr(Lazy, "__module__", "gan.networks")
    monkeypatch.setattr("gan.networks.Lazy", Lazy, raising=False)
    with pytest.raises(UserError, match=rf"^model\.{name}: it has lazy layers, whose sizes are not known yet"):
        module_of("dcgan_compact", f"model.{name}={{_target_: gan.networks.Lazy}}")


def test_dcgan_initialization():
    linear = [layer for layer in published("dcgan").generator.modules() if isinstance(layer, nn.Linear)]
    weights = torch.cat([layer.weight.flatten() for layer in linear])
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)
    assert weights.mean().abs().item() < 1e-3
