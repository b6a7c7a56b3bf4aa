"""The classifiers of Fashion-MNIST and KMNIST, trained and used on stand-ins: digits in files of their format.

The real files are not needed, and no accuracy is tested.
"""

import logging
import sys

import pytest
import torch
from miniature import idx_bytes
from tiny_runs import FAST, NARROW, TINY

from gan.config import compose
from gan.errors import UserError
from gan.evaluate import evaluate
from gan.idx_files import ALL_NAMES
from gan.images import unit
from gan.metrics import DigitClassifier, build_extractor, extractor
from gan.metrics.train_extractor import ClassifierInTraining, augment, fold_batch_norm, main, save
from gan.metrics.train_extractor import train as train_classifier
from gan.train import train

LAYOUTS = {"fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}


@pytest.fixture
def stand_in(sets, tmp_path, monkeypatch):
    """A function from a data set to overrides that name a folder with its files, and no trained classifier yet."""
    monkeypatch.setattr(extractor, "WEIGHTS", tmp_path / "digit_classifier.safetensors")

    def written(name):
        folder = tmp_path / "data" / LAYOUTS[name] / "raw"
        folder.mkdir(parents=True, exist_ok=True)
        arrays = sets.training[:, 0], sets.training_labels, sets.held_out[:, 0], sets.held_out_labels
        for file, array in zip(ALL_NAMES, arrays, strict=True):
            (folder / file).write_bytes(idx_bytes(array.numpy()))
        return [f"data={name}", f"data.dir={tmp_path / 'data'}", "data.val_size=100"]

    return written


@pytest.fixture
def script(monkeypatch):
    """A function that runs the script with arguments."""
    threads = torch.get_num_threads()

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["train_extractor", *arguments])
        main()

    yield run
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("no_pictures")
def test_a_trained_classifier_measures_its_data(stand_in, script, tmp_path, capsys):
    data = stand_in("kmnist")
    script(*data, "--epochs", "1")
    assert "kmnist_classifier.safetensors" in capsys.readouterr().out
    assert build_extractor("kmnist").name == "kmnist"

    folder = tmp_path / "run"
    narrow = ["model.generator.channels=[8,8,8]", "model.discriminator.channels=[8,8,8,8]"]
    recipe = ["experiment=quick", *TINY[2:], *narrow, *FAST, *data, "data.batch_size=16", f"output_dir='{folder}'"]
    _, metrics = train(compose("train", recipe))
    assert metrics["val/fid_kmnist"] > 0
    checkpoint = folder / "checkpoints" / "best.ckpt"  # by val/fid_kmnist
    settings = ["num_samples=200", "metrics.measures=[fid,digit_accuracy]", f"output_dir='{tmp_path / 'evaluated'}'"]
    columns = evaluate(compose("evaluate", [f"ckpt='{checkpoint}'", *data, *settings]))
    assert columns["floor"]["test/fid_kmnist"] < columns["run/best"]["test/fid_kmnist"]
    assert 0 <= columns["floor"]["test/digit_accuracy"] <= 1


def test_without_its_classifier_training_goes_on_and_says_how_to_get_one(stand_in, tmp_path, caplog):
    data = stand_in("kmnist")
    overrides = [*TINY[1:], *NARROW, *FAST, *data, f"output_dir='{tmp_path / 'run'}'"]
    with caplog.at_level(logging.WARNING, logger="gan"):
        _, metrics = train(compose("train", overrides))
    (warning,) = (record.message for record in caplog.records if "nothing is measured" in record.message)
    assert "`python -m gan.metrics.train_extractor data=kmnist` trains it" in warning
    assert not any("fid" in name for name in metrics)
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    with pytest.raises(UserError, match=r"metrics\.extractor=kmnist: there is no .*kmnist_classifier\.safetensors"):
        evaluate(compose("evaluate", [f"ckpt='{checkpoint}'", *data, f"output_dir='{tmp_path / 'evaluated'}'"]))


@pytest.mark.usefixtures("stand_in")
def test_a_classifier_of_other_data_is_refused(tmp_path):
    for name in LAYOUTS:
        save(DigitClassifier(), tmp_path / f"{name}_classifier.safetensors", {"data": "fashion_mnist"})
    assert build_extractor("fashion_mnist").data == "fashion_mnist"
    with pytest.raises(UserError, match=r"kmnist_classifier.*: it knows the classes of fashion_mnist, not of kmnist"):
        build_extractor("kmnist")


@pytest.mark.parametrize("name", ["stacked_mnist", *LAYOUTS])
def test_each_data_set_is_measured_by_its_own_classifier(name):
    expected = name if name in LAYOUTS else "mnist"
    for command in ("train", "evaluate"):
        assert compose(command, [f"data={name}"]).metrics.extractor == expected
    assert compose("train", [f"data={name}", "output_dir=a"]).callbacks.checkpoints.monitor == f"val/fid_{expected}"
    assert compose("evaluate", [f"data={name}", "metrics.extractor=inception"]).metrics.extractor == "inception"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["data=digits"], "data=digits: mnist, fashion_mnist, kmnist have a classifier of their own"),
        (["seed=3"], "seed=3: data=NAME, or a setting such as data.dir=FOLDER"),
        (["data=kmnist", "data.dri=x"], "data.dri: no such key; did you mean dir"),
        (["data=kmnist", "--epochs", "0"], "--epochs=0: a whole number, 1 or more"),
        (["data=kmnist", "--output", "nowhere/a.safetensors"], "--output nowhere/a.safetensors: a file in a folder"),
        (["data=kmnist", "--output", "."], "--output .: a file in a folder that exists and can be written to"),
    ],
)
def test_mistakes_are_one_line(script, capsys, monkeypatch, tmp_path, arguments, line):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        script(*arguments)
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert error.startswith(f"train_extractor: {line}")
    assert error.count("\n") == 1


def test_training_is_reproducible_and_leaves_the_global_generator(sets):
    images, labels = sets.training[:256], sets.training_labels[:256]
    state = torch.get_rng_state()
    first, again, other = (train_classifier(images, labels, seed, epochs=1).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert first.keys() == DigitClassifier().state_dict().keys()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_features_are_standardized_on_the_training_images(sets):
    images = sets.training[:512]
    features = train_classifier(images, sets.training_labels[:512], seed=0, epochs=1).features(unit(images))
    assert torch.allclose(features.mean(0), torch.zeros(64), atol=1e-3)
    assert torch.allclose(features.std(0), torch.ones(64), atol=0.02)


def test_folding_changes_nothing(sets):
    trained = ClassifierInTraining()
    images = unit(sets.held_out[:128])
    for _ in range(3):
        trained(images)
    trained.eval()
    expected = trained(images)
    assert torch.allclose(fold_batch_norm(trained)(images), expected, atol=1e-4)


def test_augmentation_keeps_digits_digits(sets):
    images = unit(sets.held_out)
    augmented = augment(images)
    assert augmented.shape == images.shape
    assert augmented.min() >= 0
    assert augmented.max() <= 1
    assert augmented.mean() == pytest.approx(images.mean().item(), rel=0.1)
    assert not torch.equal(augmented, images)
