"""Directions: the measured shapes of images, what is found of a network that is known, and of the pretrained one."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from tiny_generators import save_checkpoint, save_checkpoints
from torch import nn

from gan.config.bounds import DIRECTIONS
from gan.errors import UserError
from gan.images import quantize, unit
from gan.inference import DigitGenerator
from gan.inference.directions import find_directions, measure_shapes, move
from gan.metrics import load_digit_classifier

PIXELS = torch.arange(28) - 13.5


def bars(slant, thickness, height):
    """Leaning bars with soft edges, in [-1, 1]: of float [N] each, float [N, 1, 28, 28]."""
    slant, thickness, height = (each.view(-1, 1, 1) for each in (slant, thickness, height))
    y, x = PIXELS.view(1, 28, 1), PIXELS.view(1, 1, 28)
    beside = (thickness / 2 + 0.5 - (x + slant * y).abs()).clamp(0, 1)
    return ((height / 2 + 0.5 - y.abs()).clamp(0, 1) * beside).unsqueeze(1) * 2 - 1


class Bars(nn.Module):
    """Of six numbers in a latent the first three are the slant, the thickness and the height; the rest do nothing."""

    def forward(self, latents, labels=None):
        slant, thickness, height = latents[:, :3].unbind(1)
        if labels is not None:  # what all images of a class share is no reason to move
            slant = slant + 2 * labels
        return bars(0.1 * slant, 5 + 0.5 * thickness, 15 + height)


def test_shapes_of_drawn_bars():
    slant, thickness, height = torch.tensor([0.0, 0.3, -0.3]), torch.tensor([2.0, 3.0, 4.0]), torch.full((3,), 16.0)
    measured = measure_shapes(quantize(bars(slant, thickness, height)))
    assert torch.allclose(measured[:, 0], slant, atol=0.02)
    assert torch.allclose(measured[:, 1], thickness * height / (thickness + height), rtol=0.1)  # the ends count too
    assert torch.allclose(measured[0, 2:], torch.tensor([2, 16]) / math.sqrt(12), atol=0.15)
    three = quantize(bars(slant, thickness, height)).transpose(0, 1)
    assert torch.allclose(measure_shapes(three), measured.mean(0, keepdim=True))
    assert torch.equal(measure_shapes(torch.zeros(2, 1, 28, 28, dtype=torch.uint8)), torch.zeros(2, 4))


@pytest.mark.parametrize("num_classes", [None, 3])
def test_known_directions_are_found(num_classes):
    found = find_directions(Bars(), 6, num_classes, torch.device("cpu"))
    for name, latent in (("slant", 0), ("thickness", 1)):
        assert found[name][latent] == pytest.approx(1, abs=0.1)
        assert found[name].norm() == pytest.approx(1, abs=0.15)
    assert found["size"][2] > 0.5


def test_what_the_latents_do_not_change_is_no_direction(tmp_path, few_images):
    generator = DigitGenerator.from_checkpoint(save_checkpoint(tmp_path / "a.ckpt"), device="cpu")
    generator.network = nn.Module()
    generator.network.forward = lambda latents, labels: torch.zeros(len(latents), 1, 28, 28)
    assert generator.directions == {}
    with pytest.raises(UserError, match="direction slant: the latents of this generator do not change it"):
        generator.moved({"slant": 1})


@pytest.fixture
def few_images(monkeypatch):
    monkeypatch.setattr("gan.inference.directions.NUM_IMAGES", 512)


@pytest.fixture(scope="module")
def pretrained():
    return DigitGenerator.open("pretrained", device="cpu")


@pytest.fixture(scope="module")
def shapes():
    """A function from images to slant, thickness, width, size and height, and one to the share of recognized digits."""
    classifier = load_digit_classifier()

    def measured(images):
        slant, thickness, width, height = measure_shapes(images).double().unbind(1)
        recognized = classifier(unit(images)).argmax(1) == torch.arange(len(images)) % 10
        measures = dict(zip(DIRECTIONS, (slant, thickness, width, (width * height).sqrt()), strict=True))
        return measures | {"height": height}, recognized.double().mean().item()

    return measured


@pytest.fixture(scope="module")
def unmoved(pretrained, shapes):
    return shapes(pretrained.generate(300, seed=5))


@pytest.mark.parametrize(
    ("name", "alongside"), [("slant", ()), ("thickness", ()), ("width", ("size",)), ("size", ("width", "height"))]
)
def test_each_direction_moves_what_its_name_says_and_little_else(pretrained, shapes, unmoved, name, alongside):
    before, recognized = unmoved
    spread = {key: torch.stack([values[digit::10].std() for digit in range(10)]) for key, values in before.items()}
    changes = {}
    for amount in (-2, -1, 1, 2):
        after, still = shapes(pretrained.moved({name: amount}).generate(300, seed=5))
        assert still > recognized - 0.05
        changes[amount] = {key: ((after[key] - before[key]).view(-1, 10) / spread[key]).mean().item() for key in before}
    own = [changes[amount][name] for amount in (-2, -1)] + [0] + [changes[amount][name] for amount in (1, 2)]
    assert all(low < high - 0.3 for low, high in pairwise(own))
    assert 0.6 < changes[1][name] < 1.4
    assert 0.6 < -changes[-1][name] < 1.4
    for amount in (-1, 1):
        others = {key: value for key, value in changes[amount].items() if key != name and key not in alongside}
        assert max(map(abs, others.values())) < 0.2, others


def test_directions_add_up(pretrained, shapes):
    """A thick, slanted 7."""
    before = measure_shapes(pretrained.generate(100, [7], seed=1)).mean(0)
    after = measure_shapes(pretrained.moved({"slant": 1.5, "thickness": 1}).generate(100, [7], seed=1)).mean(0)
    assert after[0] - before[0] > 0.2
    assert after[1] - before[1] > 0.3
    one_by_one = pretrained.moved({"slant": 1.5}).moved({"thickness": 1})
    assert torch.allclose(
        one_by_one.latents(1, 0, 9), pretrained.moved({"slant": 1.5, "thickness": 1}).latents(1, 0, 9), atol=1e-5
    )


def test_a_moved_image_depends_on_its_seed_and_index_alone(pretrained):
    moved = pretrained.moved({"width": 1.0})
    images = moved.generate(300, seed=3)
    assert torch.equal(moved.generate(30, seed=3, first=250), images[250:280])
    assert not torch.equal(pretrained.generate(300, seed=3), images)
    assert torch.equal(pretrained.moved({"width": np.float32(1)}).generate(3, seed=3), images[:3])
    assert pretrained.moved({"width": 0}) is pretrained.moved(None) is pretrained
    assert torch.equal(moved.interpolate([3, 4], [0], steps=3)[0, 0], images[0])


def test_a_moved_latent_keeps_its_length():
    z = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(move(z, torch.ones(8)).norm(dim=1), z.norm(dim=1))
    assert torch.allclose(move(z, torch.zeros(8)), z)


def test_threads_change_nothing(tmp_path, few_images):
    path, found = save_checkpoint(tmp_path / "a.ckpt"), []
    threads = torch.get_num_threads()
    for count in (1, 2):
        torch.set_num_threads(count)
        found.append(DigitGenerator.from_checkpoint(path, device="cpu").directions)
    torch.set_num_threads(threads)
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_generators_of_every_kind_have_them(tmp_path, few_images):
    for path in save_checkpoints(tmp_path).values():
        generator = DigitGenerator.from_checkpoint(path, device="cpu")
        assert generator.moved(dict.fromkeys(generator.directions, 1)).generate(3, seed=0).shape[0] == 3
        assert set(generator.directions) <= set(DIRECTIONS)
        assert generator.directions


@pytest.mark.parametrize(
    ("amounts", "line"),
    [
        ({"slnat": 1}, r"directions={'slnat': 1}: amounts of slant, thickness, width, size, such as {slant: 1.5"),
        ({"slant": 6}, r"directions\.slant=6: a number, -5 or more, 5 or less"),
        ({"size": "big"}, r"directions\.size=big: a number"),
        ({"size": math.nan}, r"directions\.size=nan: a number"),
        ([1], r"directions=\[1\]: amounts of slant"),
    ],
)
def test_mistakes(pretrained, amounts, line):
    with pytest.raises(UserError, match=line):
        pretrained.moved(amounts)
