"""Images of a checkpoint."""

import pytest
import torch
from tiny_runs import FAST, NARROW, TINY

from gan.config import compose
from gan.errors import UserError
from gan.inference import DigitGenerator
from gan.module import GAN
from gan.train import train


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """A conditional and an unconditional run's last checkpoint."""

    paths = {}
    for name, classes in (("conditional", 10), ("unconditional", "null")):
        folder = tmp_path_factory.mktemp(name)
        overrides = [*TINY, *NARROW, *FAST, f"output_dir='{folder}'"]
        train(compose("train", [*overrides, f"model.num_classes={classes}"]))
        paths[name] = folder / "checkpoints" / "last.ckpt"
    return paths


def test_an_image_depends_on_its_seed_and_index_alone(checkpoints):
    generator = DigitGenerator.from_checkpoint(checkpoints["conditional"], device="cpu")
    images = generator.generate(600, seed=3)
    assert (images.shape, images.dtype) == ((600, 1, 28, 28), torch.uint8)
    assert torch.equal(generator.generate(7, seed=3), images[:7])
    assert torch.equal(generator.generate(30, seed=3, first=250), images[250:280])
    assert not torch.equal(generator.generate(7, seed=4), images[:7])


def test_it_draws_with_the_averaged_weights(checkpoints):
    generator = DigitGenerator.from_checkpoint(checkpoints["conditional"], device="cpu")
    module = GAN.load_from_checkpoint(checkpoints["conditional"])
    z, labels = torch.randn(256, 8), torch.arange(256) % 10
    assert torch.equal(generator.draw(z, labels), module.generate(z, labels))
    info = generator.info()
    assert (info["epoch"], info["images_seen"], info["num_classes"], info["latent_dim"]) == (1, 64, 10, 8)
    assert info["total_parameters"] == sum(parameter.numel() for parameter in module.generator.parameters())


def test_more_latents_than_a_chunk(checkpoints):
    generator = DigitGenerator.from_checkpoint(checkpoints["conditional"], device="cpu")
    z, labels = torch.randn(300, 8), torch.arange(300) % 10
    assert torch.equal(generator.draw(z, labels)[256:], generator.draw(z[256:], labels[256:]))


def test_digits_are_asked_for_in_turn(checkpoints):
    generator = DigitGenerator.from_checkpoint(checkpoints["conditional"], device="cpu")
    assert generator.labels([3, 1, 4], 1, 6).tolist() == [1, 4, 3, 1, 4]
    assert generator.labels(None, 8, 12).tolist() == [8, 9, 0, 1]
    with pytest.raises(UserError, match=r"digits=\[10\]: digits are 0 to 9"):
        generator.generate(1, digits=[10])


def test_an_unconditional_model_draws_no_digit_on_demand(checkpoints):
    generator = DigitGenerator.from_checkpoint(checkpoints["unconditional"], device="cpu")
    assert generator.labels(None, 0, 5) is None
    with pytest.raises(UserError, match="unconditional"):
        generator.generate(1, digits=[3])


def test_wrong_numbers_and_devices_are_refused(checkpoints):
    generator = DigitGenerator.from_checkpoint(checkpoints["unconditional"], device="cpu")
    with pytest.raises(UserError, match="num_images=0"):
        generator.generate(0)
    with pytest.raises(UserError, match="device=npu"):
        DigitGenerator.from_checkpoint(checkpoints["unconditional"], device="npu")
