"""`DigitGenerator`: images of a checkpoint or an exported file."""

import base64
import io
import pickle
from copy import deepcopy

import numpy as np
import pytest
import torch
from PIL import Image

from gan.errors import UserError
from gan.inference import DigitGenerator
from gan.module import GAN


def test_an_image_depends_on_its_seed_and_index_alone(checkpoints):
    generator = DigitGenerator.from_checkpoint(checkpoints["conditional"], device="cpu")
    images = generator.generate(600, seed=3)
    assert (images.shape, images.dtype) == ((600, 1, 28, 28), torch.uint8)
    assert torch.equal(generator.generate(7, seed=3), images[:7])
    assert torch.equal(generator.generate(30, seed=3, first=250), images[250:280])
    assert not torch.equal(generator.generate(7, seed=4), images[:7])


def test_without_a_seed_images_are_others_each_time(untrained):
    generator = untrained()
    assert not torch.equal(generator.generate(1), generator.generate(1))
    assert not np.array_equal(*(generator.images(1, return_format="numpy") for _ in range(2)))


def test_it_generates_with_the_averaged_weights(checkpoints):
    generator = DigitGenerator.from_checkpoint(checkpoints["conditional"], device="cpu")
    module = GAN.load_from_checkpoint(checkpoints["conditional"])
    z, labels = torch.randn(256, 8), torch.arange(256) % 10
    assert torch.equal(generator.sample(z, labels), module.generate(z, labels))
    info = generator.info()
    assert (info["epoch"], info["images_seen"], info["num_classes"], info["latent_dim"]) == (1, 64, 10, 8)
    assert info["classes"] == list(range(10))
    assert info["total_parameters"] == sum(parameter.numel() for parameter in module.generator.parameters())


def test_a_copy_and_a_pickle_of_a_used_one_have_the_same_images(untrained):
    generator = untrained().moved({"slant": 1})
    images = generator.generate(3, seed=0)
    for copy in (deepcopy(generator), pickle.loads(pickle.dumps(generator))):
        assert torch.equal(copy.generate(3, seed=0), images)


def test_a_callers_autocast_changes_no_image(untrained):
    generator, other = untrained(), untrained()
    images, moved = generator.generate(3, seed=0), generator.moved({"slant": 1}).latents(0, 0, 3)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(generator.generate(3, seed=0), images)
        assert torch.equal(other.moved({"slant": 1}).latents(0, 0, 3), moved)


def test_a_callers_default_type_and_device_change_no_image(checkpoints):
    def images():
        generator = DigitGenerator.from_checkpoint(checkpoints["conditional"], device="cpu")
        path = generator.moved({"slant": 1}).interpolate([5, 6], digits=[3, 8], truncation=0.5)
        return path, generator.generate(3, seed=0), np.asarray(generator.grid(3, seed=0))

    expected = images()
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    try:
        found = images()
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
    assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))


def test_what_is_streamed_may_be_changed(untrained):
    (images,) = untrained().stream(3, seed=0)
    images[0] = 255
    assert images[0].min() == 255


def test_the_home_folder_in_a_path(files, checkpoints, monkeypatch):
    for path, opened in (
        (checkpoints["unconditional"], DigitGenerator.from_checkpoint),
        (files["unconditional", "safetensors"], DigitGenerator.from_export),
    ):
        monkeypatch.setenv("HOME", str(path.parent))
        assert opened(f"~/{path.name}", device="cpu").path == path
        with pytest.raises(UserError, match=r"^ckpt=~nobody-of-this-name/a\.file: there is no home folder ~nobody"):
            opened("~nobody-of-this-name/a.file", device="cpu")


def test_more_latents_than_a_chunk(checkpoints):
    generator = DigitGenerator.from_checkpoint(checkpoints["conditional"], device="cpu")
    z, labels = torch.randn(300, 8), torch.arange(300) % 10
    assert torch.equal(generator.sample(z, labels)[256:], generator.sample(z[256:], labels[256:]))


def test_wrong_numbers_and_lists_of_packages_are_refused(checkpoints):
    generator = DigitGenerator.from_checkpoint(checkpoints["unconditional"], device="cpu")
    for arguments, line in (
        ({"num_images": 0}, "num_images=0: a whole number, 1 or more"),
        ({"num_images": "3"}, "num_images='3': a whole number, 1 or more"),
        ({"num_images": 1, "seed": -1}, "seed=-1: a whole number, 0 or more"),
        ({"num_images": 1, "first": 0.5}, r"first=0\.5: a whole number, 0 or more"),
    ):
        with pytest.raises(UserError, match=line):
            generator.stream(**arguments)
    assert torch.equal(
        generator.generate(np.uint8(200), None, np.int32(7), np.uint8(200)), generator.generate(200, None, 7, 200)
    )
    assert torch.equal(
        generator.interpolate(np.arange(30, dtype=np.uint8), None, np.uint8(9)),
        generator.interpolate(range(30), None, 9),
    )
    assert len(next(generator.stream(10**15))) == 256
    for trust in (None, "my_gan", [1]):
        with pytest.raises(UserError, match=r"trust=.*: a list of packages"):
            DigitGenerator.open(checkpoints["unconditional"], trust=trust)


@pytest.mark.parametrize("file_format", ["safetensors", pytest.param("onnx", marks=pytest.mark.slow)])
def test_an_exported_generator_has_the_same_images_and_the_same_facts(files, checkpoints, file_format):
    opened = DigitGenerator.from_export(files["conditional", file_format], device="cpu")
    generator = DigitGenerator.from_checkpoint(checkpoints["conditional"], device="cpu")
    difference = opened.generate(20, seed=0).int() - generator.generate(20, seed=0).int()
    assert difference.abs().max() <= 1
    assert opened.info() == generator.info()
    assert torch.equal(opened.generate(300, seed=0)[:20], opened.generate(20, seed=0))
    assert torch.equal(pickle.loads(pickle.dumps(opened)).generate(20, seed=0), opened.generate(20, seed=0))
    if file_format == "onnx":
        assert opened.interpolate([1, 2], digits=[3]).shape == (1, 12, 1, 28, 28)
        with pytest.raises(UserError, match=r"no class embeddings to mix .*; use one digit"):
            opened.interpolate([1, 2], digits=[3, 4])


def test_truncation_keeps_latents_within_its_limit(untrained):
    generator = untrained()
    z, inside = generator.latents(1, 0, 5000), generator.latents(1, 0, 5000, truncation=0.5)
    assert inside.abs().max() <= 0.5
    assert torch.equal(generator.latents(1, 4990, 5000, truncation=0.5), inside[4990:])
    torch.testing.assert_close(generator.latents(1, 0, 50, truncation=20.0), z[:50])
    variance = 1 - 2 * 0.5 * np.exp(-0.125) / np.sqrt(2 * np.pi) / 0.38292492  # of a normal within +-0.5
    assert inside.var().item() == pytest.approx(variance, rel=0.02)
    assert not torch.equal(generator.generate(5, seed=0, truncation=0.5), generator.generate(5, seed=0))
    for wrong in (0, -1, float("nan"), "x", 2**63):
        with pytest.raises(UserError, match="truncation="):
            generator.generate(1, truncation=wrong)


def test_interpolation_starts_and_ends_at_the_seeds_own_images(untrained):
    generator = untrained()
    paths = generator.interpolate([5, 6, 7], digits=[3, 8, 1], steps=4)
    assert paths.shape == (2, 4, 1, 28, 28)
    for path, start, end in zip(paths, ((5, 3), (6, 8)), ((6, 8), (7, 1)), strict=True):
        for image, (seed, digit) in ((path[0], start), (path[-1], end)):
            assert torch.equal(image, generator.generate(1, [digit], seed)[0])
    kept = generator.interpolate([5, 5], digits=[3], steps=3)
    assert torch.equal(kept[0, 1], kept[0, 0])
    assert untrained(None).interpolate([0, 1]).shape == (1, 12, 1, 28, 28)
    for seeds, steps, line in (
        ([1], 12, r"seeds=\[1\]: 2 or more"),
        (1, 12, r"seeds=1: 2 or more, such as \[0, 5\]"),
        ([1, -1], 12, r"seeds\[1\]=-1: a whole number, 0 or more"),
        ([1.5, 2], 12, r"seeds\[0\]=1\.5: a whole number, 0 or more"),
        ([1, 2], 1, "steps=1: a whole number, 2 or more"),
        ([1, 2], 2.5, r"steps=2\.5: a whole number, 2 or more"),
    ):
        with pytest.raises(UserError, match=line):
            generator.interpolate(seeds, steps=steps)


def test_formats_of_images(untrained):
    generator = untrained()
    images = generator.generate(3, digits=[3, 1], seed=4)
    assert torch.equal(generator.images(3, [3, 1], 4), images)
    assert np.array_equal(generator.images(3, [3, 1], 4, return_format="numpy"), images.numpy())
    for image, picture, text in zip(
        images,
        generator.images(3, [3, 1], 4, return_format="pil"),
        generator.images(3, [3, 1], 4, return_format="base64"),
        strict=True,
    ):
        assert np.array_equal(np.asarray(picture), image[0].numpy())
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))), image[0].numpy())
    assert generator.grid(4, [3, 1], columns=4).size == (4 * 30 + 2, 32)
    for columns in (0, 2.5):
        with pytest.raises(UserError, match=f"columns={columns}: a whole number, 1 or more, or null"):
            generator.grid(4, columns=columns)
    with pytest.raises(UserError, match="return_format=jpg: tensor, numpy, pil or base64"):
        generator.images(1, return_format="jpg")


@pytest.fixture(scope="module")
def draws(checkpoints):
    """The two methods that take latents, by name, of a model with ten classes and of one with none."""

    def methods(path):
        generator, module = DigitGenerator.from_checkpoint(path, device="cpu"), GAN.load_from_checkpoint(path)
        return {"sample(": generator.sample, "generate(": module.generate}

    return {10: methods(checkpoints["conditional"]), None: methods(checkpoints["unconditional"])}


@pytest.mark.parametrize(
    ("num_classes", "z", "labels", "message"),
    [
        (10, torch.zeros(3, 8), None, "needs a class for each image: draw(torch.randn(16, 8), labels=torch.arange(16)"),
        (10, torch.zeros(3, 8), torch.tensor([0, 1, 10]), "labels=0..10: classes are 0 to 9"),
        (10, torch.zeros(3, 8), torch.tensor([-1, 1, 2]), "labels=-1..2: classes are 0 to 9"),
        (10, torch.zeros(3, 8), torch.zeros(3), "labels=float32 [3]: an int64 tensor [3]"),
        (10, torch.zeros(3, 8), torch.zeros(2).long(), "labels=int64 [2]: an int64 tensor [3]"),
        (10, torch.zeros(3, 8), [1, 2, 3], "labels=list: an int64 tensor [3]"),
        (10, torch.zeros(3, 8), torch.eye(10)[:3].double(), "labels=float64 [3, 10]: an int64 tensor [3]"),
        (10, torch.zeros(3, 8), torch.eye(10)[:3].long(), "labels=int64 [3, 10]: an int64 tensor [3]"),
        (None, torch.zeros(3, 8), torch.zeros(3).long(), "labels=int64 [3]: this model is unconditional"),
        (None, torch.zeros(3, 100), None, "z=float32 [3, 100]: latents are a float32 tensor [N, 8]"),
        (None, torch.zeros(3, 8).double(), None, "z=float64 [3, 8]: latents are a float32 tensor [N, 8]"),
        (None, np.zeros((3, 8)), None, "z=ndarray: latents are a float32 tensor [N, 8]"),
    ],
)
def test_wrong_latents_and_labels_are_one_line(draws, num_classes, z, labels, message):
    for name, call in draws[num_classes].items():
        with pytest.raises(UserError) as raised:
            call(z, labels)
        assert message.replace("draw(", name) in str(raised.value)
        assert "\n" not in str(raised.value)
