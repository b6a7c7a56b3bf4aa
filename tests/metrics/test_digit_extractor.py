"""The shipped digit classifier: whole, frozen, the same for everyone, and made by its script."""

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from gan.errors import UserError
from gan.images import unit
from gan.metrics import DigitClassifier, DigitExtractor, digit_extractor, load_digit_classifier
from gan.metrics.digit_extractor import CHECKSUM, VERSION, WEIGHTS
from gan.metrics.train_extractor import save


def test_shipped_file():
    with safe_open(WEIGHTS, framework="pt") as opened:
        told = opened.metadata()
    assert (told["sum"], told["version"], told["seed"]) == (CHECKSUM, VERSION, "0")
    assert float(told["accuracy"]) >= 0.995
    assert f"{float(told['accuracy']):.2%}".replace("%", " %") in DigitClassifier.__doc__
    assert WEIGHTS.stat().st_size <= 1_000_000


def test_loaded_classifier_is_frozen(sets):
    state = torch.get_rng_state()
    classifier = load_digit_classifier()
    assert torch.equal(torch.get_rng_state(), state)
    assert not classifier.training
    assert all(not p.requires_grad and p.dtype == torch.float32 for p in classifier.parameters())
    images = unit(sets.held_out)
    features = classifier.features(images)
    assert features.shape == (len(images), DigitClassifier.num_features)
    assert torch.allclose(classifier(images), classifier.classify(features))
    # Another data set, whose digits were written by others and scanned at 8x8 pixels.
    assert (classifier(images).argmax(1) == sets.held_out_labels).double().mean() > 0.9


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"none\.safetensors: the digit extractor's weights are missing"):
        load_digit_classifier(tmp_path / "none.safetensors")


def test_cut_file(tmp_path):
    path = tmp_path / "cut.safetensors"
    path.write_bytes(WEIGHTS.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"cut\.safetensors: not a readable safetensors file"):
        load_digit_classifier(path)


def test_altered_weights(tmp_path):
    path = tmp_path / "altered.safetensors"
    altered = bytearray(WEIGHTS.read_bytes())
    altered[-1000] ^= 1
    path.write_bytes(altered)
    with pytest.raises(UserError, match=r"altered\.safetensors: the weights' checksum is .*, not "):
        load_digit_classifier(path)


def test_other_weights_in_the_place_of_the_shipped_ones(tmp_path, monkeypatch):
    path = tmp_path / "retrained.safetensors"
    save(DigitClassifier(), path, {})
    assert isinstance(load_digit_classifier(path), DigitClassifier)
    monkeypatch.setattr(digit_extractor, "WEIGHTS", path)
    with pytest.raises(UserError, match="the weights' checksum is"):
        load_digit_classifier()


def test_file_without_a_checksum(tmp_path):
    save_file(load_file(WEIGHTS), tmp_path / "bare.safetensors")
    with pytest.raises(UserError, match="not None"):
        load_digit_classifier(tmp_path / "bare.safetensors")


def test_channels_are_digits_of_one_number(sets):
    digits = DigitExtractor()
    images = sets.held_out[:30]
    features, logits = digits(images)
    joined, joint = digits(images.view(10, 3, 28, 28))
    assert torch.allclose(joined, features.view(10, 192), atol=1e-5)
    assert joint.shape == (10, 1000)
    read = logits.argmax(1).view(10, 3)
    assert torch.equal(joint.argmax(1), (read * torch.tensor([100, 10, 1])).sum(1))
    assert torch.allclose(joint.softmax(1).sum(1), torch.ones(10))


def test_autocast_changes_nothing(sets):
    digits = DigitExtractor()
    plain = digits(sets.held_out[:10])
    with torch.autocast("cpu", torch.bfloat16):
        inside = digits(sets.held_out[:10])
    assert all(torch.equal(a, b) for a, b in zip(plain, inside, strict=True))
    assert inside[0].dtype == torch.float32
