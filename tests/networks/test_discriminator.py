"""The discriminator: the published ones layer for layer, and logits of every label."""

import pytest
import torch
from composed import layers, module_of, published
from torch import nn

from gan.networks.discriminator import ConvDiscriminator, judges_by_batch

PUBLISHED = {
    "dcgan": [
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
    ],
    "dcgan_compact": [
        ("Conv2d", 64, 4, 2, 1, True),
        ("LeakyReLU", 0.2),
        ("Conv2d", 128, 4, 2, 1, True),
        ("BatchNorm2d", 128),
        ("LeakyReLU", 0.2),
        ("Linear", 1, True),
    ],
    "dcgan_ttur": [
        ("Conv2d", 64, 5, 2, 2, True),
        ("LeakyReLU", 0.2),
        ("Dropout", 0.3),
        ("Conv2d", 128, 5, 2, 2, True),
        ("LeakyReLU", 0.2),
        ("Dropout", 0.3),
        ("Linear", 1, True),
    ],
}


@pytest.mark.parametrize("model", PUBLISHED)
def test_its_layers_are_the_published_ones(model):
    assert layers(published(model).discriminator) == PUBLISHED[model]


def test_the_deep_one_widens_to_512_channels():
    convolutions = [layer for layer in published("dcgan_deep").discriminator.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [64, 128, 256, 512]


def test_logits_of_every_label():
    module = module_of("conditional")
    torch.nn.init.normal_(module.discriminator.projection.weight)
    images, labels = torch.rand(4, 1, 28, 28), torch.tensor([0, 3, 9, 3])
    logits = module.discriminator(images)
    assert logits.shape == (4, 10)
    assert torch.allclose(logits[range(4), labels], module.discriminator(images, labels), atol=1e-4)


class BatchSpread(nn.Module):
    """A feature of the whole batch, as in Karras et al. 2018."""

    def forward(self, images, labels):
        return images.flatten(1).mean(1) + images.std(0).mean()


@pytest.mark.parametrize("options", [{"norm": False, "dropout": 0.3}, {"norm": True}])
def test_a_discriminator_that_judges_by_the_batch_is_found(options):
    network = ConvDiscriminator([4, 4], [{"kernel_size": 4, "stride": 2}] * 2, num_classes=3, **options)
    before = torch.get_rng_state()
    assert judges_by_batch(network, 1, 3) == options["norm"]
    assert torch.equal(torch.get_rng_state(), before)
    assert judges_by_batch(BatchSpread(), 3, None)
