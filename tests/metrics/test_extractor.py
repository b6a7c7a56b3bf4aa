"""Which extractor is taken and whose classes it reads; the shipped one is whole, frozen, the same for everyone."""

import pytest
import torch
from my_gan import EdgeExtractor, MeanShift
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from gan.data import KMNIST, MNIST, Digits, FashionMNIST, StackedMNIST
from gan.errors import UserError
from gan.images import unit
from gan.metrics import (
    DigitClassifier,
    DigitExtractor,
    build_extractor,
    extractor,
    load_digit_classifier,
)
from gan.metrics.extractor import CHECKSUM, VERSION, WEIGHTS
from gan.metrics.train_extractor import save


def test_an_extractor_is_chosen_by_name_by_target_or_as_an_object(sets, collected):
    for chosen in ({"_target_": "my_gan.EdgeExtractor"}, EdgeExtractor()):
        measures = collected(["fid", MeanShift()], sets.held_out, sets.held_out, extractor=build_extractor(chosen))
        values = measures.compute()
        assert values == pytest.approx({"fid": 0, "mean_shift": 0}, abs=1e-6)
        assert measures.metric_name("val", "fid") == "val/fid_edges"


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("vgg", r"metrics\.extractor=vgg: mnist, fashion_mnist, kmnist, inception"),
        ({"_target_": "my_gan.Stripes"}, r"metrics\.extractor: .*Stripes.* is not a gan\.metrics\.Extractor"),
    ],
)
def test_an_impossible_extractor_is_one_line(chosen, message):
    with pytest.raises(UserError, match=message):
        build_extractor(chosen)


def test_an_extractor_of_other_data_does_not_take_mnists_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(extractor, "WEIGHTS", tmp_path / WEIGHTS.name)
    with pytest.raises(UserError, match=r"metrics\.extractor=kmnist: there is no .*kmnist_classifier\.safetensors"):
        DigitExtractor(data="kmnist")


@pytest.mark.parametrize(
    ("known", "source", "reason"),
    [
        ("mnist", MNIST, None),
        ("mnist", StackedMNIST, None),
        ("mnist", KMNIST, "kmnist shows no digits; use metrics.extractor=kmnist or inception"),
        ("fashion_mnist", FashionMNIST, None),
        ("fashion_mnist", MNIST, "mnist shows no classes of fashion_mnist; use metrics.extractor=mnist or inception"),
        ("fashion_mnist", KMNIST, "kmnist shows no classes of fashion_mnist; use metrics.extractor=kmnist"),
        ("kmnist", Digits, "digits shows no classes of kmnist; use metrics.extractor=inception"),
    ],
)
def test_a_classifier_reads_its_own_classes(known, source, reason):
    found = DigitExtractor(DigitClassifier(), known).misfit(source())
    assert found is None if reason is None else found.startswith(f"metrics.extractor={known}: {reason}")


def test_an_extractor_of_ones_own_is_in_evaluation_mode(sets, collected):
    class Dropping(EdgeExtractor):
        def __init__(self):
            super().__init__()
            self.dropout = torch.nn.Dropout(0.5)

        def forward(self, images):
            return tuple(self.dropout(values) for values in super().forward(images))

    measures = collected(["fid"], sets.held_out, sets.held_out, extractor=build_extractor(Dropping()))
    assert measures.compute()["fid"] == pytest.approx(0, abs=1e-6)


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


def test_a_missing_a_cut_and_an_altered_file(tmp_path):
    path, whole = tmp_path / "a.safetensors", WEIGHTS.read_bytes()
    with pytest.raises(UserError, match=r"a\.safetensors: the digit extractor's weights are missing"):
        load_digit_classifier(path)
    path.write_bytes(whole[:-100])
    with pytest.raises(UserError, match=r"a\.safetensors: not a readable safetensors file"):
        load_digit_classifier(path)
    path.write_bytes(whole[:-1000] + bytes([whole[-1000] ^ 1]) + whole[-999:])
    with pytest.raises(UserError, match=r"a\.safetensors: the weights' checksum is .*, not "):
        load_digit_classifier(path)


def test_other_weights_in_the_place_of_the_shipped_ones(tmp_path, monkeypatch):
    path = tmp_path / "retrained.safetensors"
    save(DigitClassifier(), path, {})
    assert isinstance(load_digit_classifier(path), DigitClassifier)
    monkeypatch.setattr(extractor, "WEIGHTS", path)
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
