"""`DigitGenerator`: images of a checkpoint or an exported file."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_generators import save_checkpoint

from gan.config import compose
from gan.errors import UserError
from gan.export import export
from gan.inference import DigitGenerator, classifier_selection
from gan.metrics import DigitExtractor
from gan.module import GAN


@pytest.fixture
def checkpoints(trained):
    """A conditional and an unconditional run's last checkpoint."""
    return {name: trained(name) / "checkpoints" / "last.ckpt" for name in ("conditional", "unconditional")}


def test_an_image_depends_on_its_seed_and_index_alone(checkpoints):
    generator = DigitGenerator.from_checkpoint(checkpoints["conditional"], device="cpu")
    images = generator.generate(600, seed=3)
    assert (images.shape, images.dtype) == ((600, 1, 28, 28), torch.uint8)
    assert torch.equal(generator.generate(7, seed=3), images[:7])
    assert torch.equal(generator.generate(30, seed=3, first=250), images[250:280])
    assert not torch.equal(generator.generate(7, seed=4), images[:7])


def test_without_a_seed_images_are_others_each_time(tiny):
    generator = tiny()
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


def test_more_latents_than_a_chunk(checkpoints):
    generator = DigitGenerator.from_checkpoint(checkpoints["conditional"], device="cpu")
    z, labels = torch.randn(300, 8), torch.arange(300) % 10
    assert torch.equal(generator.sample(z, labels)[256:], generator.sample(z[256:], labels[256:]))


def test_images_show_the_requested_digits_in_turn(checkpoints):
    generator = DigitGenerator.from_checkpoint(checkpoints["conditional"], device="cpu")
    assert generator.labels([3, 1, 4], 1, 6).tolist() == [1, 4, 3, 1, 4]
    assert generator.labels(None, 8, 12).tolist() == [8, 9, 0, 1]
    assert torch.equal(generator.generate(2, [3.0, 1.0], seed=0), generator.generate(2, [3, 1], seed=0))
    with pytest.raises(UserError, match=r"digits=\[10\]: digits are 0 to 9"):
        generator.generate(1, digits=[10])


def test_an_unconditional_model_takes_no_digits(checkpoints):
    generator = DigitGenerator.from_checkpoint(checkpoints["unconditional"], device="cpu")
    assert generator.labels(None, 0, 5) is None
    with pytest.raises(UserError, match="unconditional"):
        generator.generate(1, digits=[3])


def test_wrong_numbers_and_devices_are_refused(checkpoints):
    generator = DigitGenerator.from_checkpoint(checkpoints["unconditional"], device="cpu")
    with pytest.raises(UserError, match="num_images=0"):
        generator.generate(0)
    for device in ("npu", "meta", None):
        with pytest.raises(UserError, match=f"device={device}: not on this machine"):
            DigitGenerator.from_checkpoint(checkpoints["unconditional"], device=device)
    for trust in (None, "my_gan", [1]):
        with pytest.raises(UserError, match=r"trust=.*: a list of packages"):
            DigitGenerator.open(checkpoints["unconditional"], trust=trust)


@pytest.fixture
def tiny(tmp_path):
    """A function from the number of classes to an untrained generator."""

    def opened(num_classes=10):
        return DigitGenerator.from_checkpoint(save_checkpoint(tmp_path / "tiny.ckpt", num_classes), device="cpu")

    return opened


@pytest.fixture
def brightness_classifier(monkeypatch):
    """Replaces the classifier by one that recognizes the digit (middle pixel) mod 10."""
    monkeypatch.setattr(
        DigitExtractor, "forward", lambda self, images: (None, torch.eye(10)[images[:, 0, 14, 14].long() % 10])
    )


@pytest.mark.parametrize("file_format", ["safetensors", pytest.param("onnx", marks=pytest.mark.slow)])
def test_an_exported_generator_has_the_same_images_and_the_same_facts(tmp_path, file_format):
    original = save_checkpoint(tmp_path / "a.ckpt")
    options = [f"ckpt='{original}'", f"format={file_format}", f"output_dir='{tmp_path}'"]
    opened = DigitGenerator.from_export(export(compose("export", options)), device="cpu")
    generator = DigitGenerator.from_checkpoint(original, device="cpu")
    difference = opened.generate(20, seed=0).int() - generator.generate(20, seed=0).int()
    assert difference.abs().max() <= 1
    assert opened.info() == generator.info()
    assert torch.equal(opened.generate(300, seed=0)[:20], opened.generate(20, seed=0))
    if file_format == "onnx":
        assert opened.interpolate([1, 2], digits=[3]).shape == (1, 12, 1, 28, 28)
        with pytest.raises(UserError, match=r"no class embeddings to mix .*; use one digit"):
            opened.interpolate([1, 2], digits=[3, 4])


def test_truncation_keeps_latents_within_its_limit(tiny):
    generator = tiny()
    z, inside = generator.latents(1, 0, 5000), generator.latents(1, 0, 5000, truncation=0.5)
    assert inside.abs().max() <= 0.5
    assert torch.equal(generator.latents(1, 4990, 5000, truncation=0.5), inside[4990:])
    torch.testing.assert_close(generator.latents(1, 0, 50, truncation=20.0), z[:50])
    variance = 1 - 2 * 0.5 * np.exp(-0.125) / np.sqrt(2 * np.pi) / 0.38292492  # of a normal within +-0.5
    assert inside.var().item() == pytest.approx(variance, rel=0.02)
    assert not torch.equal(generator.generate(5, seed=0, truncation=0.5), generator.generate(5, seed=0))
    for wrong in (0, -1, float("nan")):
        with pytest.raises(UserError, match="truncation="):
            generator.generate(1, truncation=wrong)


def test_interpolation_starts_and_ends_at_the_seeds_own_images(tiny):
    generator = tiny()
    paths = generator.interpolate([5, 6, 7], digits=[3, 8, 1], steps=4)
    assert paths.shape == (2, 4, 1, 28, 28)
    for path, start, end in zip(paths, ((5, 3), (6, 8)), ((6, 8), (7, 1)), strict=True):
        for image, (seed, digit) in ((path[0], start), (path[-1], end)):
            assert torch.equal(image, generator.generate(1, [digit], seed)[0])
    kept = generator.interpolate([5, 5], digits=[3], steps=3)
    assert torch.equal(kept[0, 1], kept[0, 0])
    assert tiny(None).interpolate([0, 1]).shape == (1, 12, 1, 28, 28)
    for wrong in ({"seeds": [1]}, {"seeds": [1, -1]}, {"seeds": [1, 2], "steps": 1}):
        with pytest.raises(UserError, match="seeds="):
            generator.interpolate(**wrong)


def test_a_mix_of_digits_is_the_image_of_the_mixed_embeddings(tiny):
    generator = tiny()
    z = generator.latents(0, 0, 3)
    shares = torch.zeros(3, 10)
    shares[:, 2], shares[:, 7] = 0.25, 0.75
    mixed = generator.sample(z, shares)
    for module in generator.network.modules():
        if isinstance(module, torch.nn.Embedding):
            module.weight[0] = 0.25 * module.weight[2] + 0.75 * module.weight[7]
    assert (mixed.int() - generator.sample(z, torch.zeros(3, dtype=torch.long)).int()).abs().max() <= 1


def test_the_classifier_selects_digits_of_an_unconditional_model(tiny, brightness_classifier):
    generator = tiny(None)
    images = generator.generate(300, digits=[3, 1, 4], seed=2, select="classifier")
    assert (images[:, 0, 14, 14] % 10).tolist() == [3, 1, 4] * 100
    assert len(images.flatten(1).unique(dim=0)) == 300
    assert torch.equal(generator.generate(5, digits=[3, 1, 4], seed=2, select="classifier"), images[:5])
    part = generator.generate(9, digits=[3, 1, 4], seed=2, first=250, select="classifier")
    assert torch.equal(part, images[250:259])
    assert not torch.equal(generator.generate(5, digits=[3, 1, 4], seed=3, select="classifier"), images[:5])


def test_the_number_of_samples_to_select_from_is_bounded(tiny, monkeypatch):
    monkeypatch.setattr(DigitExtractor, "forward", lambda self, images: (None, torch.eye(10)[[0] * len(images)]))
    monkeypatch.setattr(classifier_selection, "MAX_CHUNKS", 2)
    assert len(tiny(None).generate(2, digits=[0], select="classifier")) == 2
    with pytest.raises(
        UserError, match=r"digits=\[7\], select=classifier: .* of 512 samples, the classifier recognized 0 as 7"
    ):
        tiny(None).generate(2, digits=[0, 7], select="classifier")
    with pytest.raises(UserError, match="select=eye: classifier, or null"):
        tiny(None).generate(2, digits=[0], select="eye")
    with pytest.raises(UserError, match="select=classifier: this model is conditional"):
        tiny().generate(2, digits=[3], select="classifier")
    with pytest.raises(UserError, match="select=classifier: name the digits"):
        tiny(None).generate(2, select="classifier")


def test_formats_of_images(tiny):
    generator = tiny()
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
    with pytest.raises(UserError, match="columns=0: at least 1"):
        generator.grid(4, columns=0)
    with pytest.raises(UserError, match="return_format=jpg: tensor, numpy, pil or base64"):
        generator.images(1, return_format="jpg")


@pytest.mark.parametrize(
    ("num_classes", "z", "labels", "message"),
    [
        (10, torch.zeros(3, 8), None, "needs a class for each image: draw(torch.randn(16, 8), labels=torch.arange(16)"),
        (10, torch.zeros(3, 8), torch.tensor([0, 1, 10]), "labels=0..10: classes are 0 to 9"),
        (10, torch.zeros(3, 8), torch.tensor([-1, 1, 2]), "labels=-1..2: classes are 0 to 9"),
        (10, torch.zeros(3, 8), torch.zeros(3), "labels=float32 [3]: an int64 tensor [3]"),
        (10, torch.zeros(3, 8), torch.zeros(2).long(), "labels=int64 [2]: an int64 tensor [3]"),
        (10, torch.zeros(3, 8), [1, 2, 3], "labels=list: an int64 tensor [3]"),
        (None, torch.zeros(3, 8), torch.zeros(3).long(), "labels=int64 [3]: this model is unconditional"),
        (None, torch.zeros(3, 100), None, "z=float32 [3, 100]: latents are a float32 tensor [N, 8]"),
        (None, torch.zeros(3, 8).double(), None, "z=float64 [3, 8]: latents are a float32 tensor [N, 8]"),
        (None, np.zeros((3, 8)), None, "z=ndarray: latents are a float32 tensor [N, 8]"),
    ],
)
def test_wrong_latents_and_labels_are_one_line(tiny, trained, num_classes, z, labels, message):
    kind = "conditional" if num_classes else "unconditional"
    module = GAN.load_from_checkpoint(trained(kind) / "checkpoints" / "last.ckpt")
    for call, name in ((tiny(num_classes).sample, "sample("), (module.generate, "generate(")):
        with pytest.raises(UserError) as raised:
            call(z, labels)
        assert message.replace("draw(", name) in str(raised.value)
        assert "\n" not in str(raised.value)
