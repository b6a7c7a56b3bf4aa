import pytest
import torch
from composed import module_of, parameters

from gan.errors import UserError


@pytest.fixture(scope="module")
def module():
    return module_of("stacked")


def test_shapes_and_parameter_counts(module):
    images = module.generator(torch.randn(5, module.latent_dim))
    assert images.shape == (5, 3, 28, 28)
    assert images.abs().max() <= 1
    assert module.discriminator(images).shape == (5,)
    assert (parameters(module.generator), parameters(module.discriminator)) == (350_561, 1_828_193)


def test_each_channel_is_drawn_from_its_own_latents_with_the_same_weights(module):
    generator, latents = module.generator, torch.randn(4, module.latent_dim)
    images, of_channels = generator(latents), generator.latents(latents).view(4, 3, 64)
    for channel in range(3):
        alone = generator.channel(of_channels[:, channel])
        torch.testing.assert_close(images[:, channel], alone[:, 0])


def test_channels_start_independent():
    weight = module_of("stacked").generator.latents.weight.detach()
    torch.testing.assert_close(weight @ weight.T, torch.eye(192), atol=1e-5, rtol=0)


def test_channels_are_judged_together(module):
    """The logit is no sum of what each channel adds, so that it can see which digits come together."""
    discriminator = module.discriminator
    one, other = torch.rand(2, 1, 3, 28, 28) * 2 - 1
    with torch.no_grad():
        mixed = [torch.cat([a[:, :1], b[:, 1:]], 1) for a in (one, other) for b in (one, other)]
        same, first, second, both = (discriminator(images) for images in mixed)
    assert (same + both - first - second).abs() > 1e-6


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.num_classes=10"], "model.num_classes=10: null for channelwise networks"),
        (["model.generator.channel_latent_dim=0"], "model.generator.channel_latent_dim=0: a whole number, 1 or more"),
        (["model.discriminator.hidden=1.5"], "model.discriminator.hidden=1.5: a whole number, 1 or more"),
    ],
)
def test_impossible_values_are_named(overrides, message):
    with pytest.raises(UserError, match=message):
        module_of("stacked", *overrides)
