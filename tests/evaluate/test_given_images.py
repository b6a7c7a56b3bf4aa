"""Other people's images: `gan evaluate images=...`, and `gan.evaluate.measure` for tensors."""

import json
import logging

import numpy as np
import pytest
import torch
from my_gan import EdgeExtractor, MeanShift

from gan.config import compose
from gan.data import Digits, MNISTDataModule
from gan.errors import UserError
from gan.evaluate import evaluate, measure
from gan.inference import DigitGenerator

SMALL = ("data=digits", "device=cpu", "num_samples=300", "metrics.measures=[fid,class_fid,digit_accuracy,density]")


@pytest.fixture
def files(data, tmp_path):
    """The real training images, and noise, in files of two kinds."""
    np.savez(tmp_path / "real.npz", images=data.train_images.numpy(), labels=data.train_labels.numpy())
    noise = torch.rand(400, 28, 28, generator=torch.Generator().manual_seed(0))
    np.save(tmp_path / "noise.npy", noise.numpy())
    torch.save(data.train_labels, tmp_path / "labels.pt")
    return tmp_path


def test_a_callers_default_device_changes_no_measure(data):
    def measured():
        settings = {
            "measures": ["fid", "digit_accuracy"],
            "num_samples": 200,
            "confidence": 0.9,
            "data": MNISTDataModule(Digits(), val_size=200),
        }
        return measure(data.train_images, data.train_labels, **settings).columns

    expected = measured()
    torch.set_default_device("meta")
    try:
        assert measured() == expected
    finally:
        torch.set_default_device(None)


def test_files_and_a_checkpoint_are_one_table_and_a_python_function_says_the_same_of_tensors(gan, files, data, trained):
    checkpoint = trained("conditional") / "checkpoints" / "last.ckpt"
    images = "images=[real.npz,noise.npy]"
    code, out, err = gan("evaluate", images, f"ckpt={checkpoint}", *SMALL, "data.val_size=200", "hydra.run.dir=out")
    assert (code, err) == (0, "")
    assert "images      noise.npy, 400 of them, without labels\n" in out
    saved = json.loads((files / "out" / "metrics.json").read_text())
    assert saved["images"] == ["real.npz", "noise.npy"]
    assert saved["checkpoints"] == [str(checkpoint)]
    assert saved["versions"] == [DigitGenerator.open(checkpoint).info()["version"]]
    model, real, noise, floor = saved["measures"].values()
    assert list(saved["measures"]) == ["conditional/last", "real", "noise", "floor"]
    assert floor["test/fid_mnist"] < 2 < noise["test/fid_mnist"]
    assert real["test/digit_accuracy"] > 0.9
    assert "test/digit_accuracy" not in noise
    assert {f"test/fid_class_{label}_mnist" for label in range(10)} <= model.keys() & real.keys() & floor.keys()
    low, high = saved["intervals"]["real"]["test/fid_mnist"]
    assert low < real["test/fid_mnist"] < high
    table = (files / "out" / "metrics.md").read_text()
    assert f"{real['test/fid_mnist']:.4g} [{low:.4g}, {high:.4g}]" in table
    assert table.index("test/digit_accuracy") < table.index("test/fid_class_0_mnist")
    for name in ("conditional_last", "real", "noise"):
        assert {path.name for path in (files / "out" / name).iterdir()} >= {"real_and_generated.png", "by_class.png"}
    assert (files / "out" / "real" / "confusion.png").is_file()
    assert not (files / "out" / "noise" / "confusion.png").exists()
    names = ["fid", "class_fid", "digit_accuracy", "density"]
    result = measure(
        data.train_images, data.train_labels, data=data, measures=names, num_samples=300, device="cpu", folder="mine"
    )
    assert result.columns["images"] == pytest.approx(real)
    assert result.columns["floor"] == pytest.approx(floor)
    assert result.intervals["floor"].keys() == saved["intervals"]["floor"].keys()
    assert (files / "mine" / "metrics.md").read_text() == result.markdown()
    pictures = {path.name for path in (files / "mine").glob("*.png")}
    assert pictures == {path.name for path in (files / "out" / "real").glob("*.png")}


def test_the_classifier_is_that_of_the_data(data, monkeypatch):
    monkeypatch.setattr(type(data.source), "name", "kmnist")
    with pytest.raises(UserError, match="kmnist"):  # which is not trained here
        measure(data.train_images, data=data, measures=["fid"])


def test_several_tensors_by_name_with_and_without_labels(data):
    images = data.train_images[:400]
    result = measure(
        {"grey": images, "colour": images.expand(-1, 3, -1, -1) / 255.0},
        {"grey": data.train_labels[:400]},
        data=data,
        measures=["fid", "class_accuracy"],
        num_samples=400,
        confidence=None,
    )
    assert result.columns["grey"]["test/fid_mnist"] == pytest.approx(result.columns["colour"]["test/fid_mnist"])
    assert "test/accuracy_class_3" in result.columns["grey"]
    assert set(result.columns["colour"]) == {"test/fid_mnist"}
    assert "[" not in result.markdown()


@pytest.mark.usefixtures("no_pictures")
def test_labels_come_from_a_file_and_a_word_is_for_the_floor(gan, files, data):
    np.save(files / "plain.npy", data.train_images.numpy())
    np.save(files / "labels.npy", data.train_labels.numpy())
    arguments = ("images=plain.npy", *SMALL, "hydra.run.dir=out")
    assert gan("evaluate", *arguments, "labels=[even,labels.npy]")[0] == 0
    saved = json.loads((files / "out" / "metrics.json").read_text())
    assert saved["labels"] == "even"
    assert saved["measures"]["plain"]["test/digit_accuracy"] > 0.9
    assert gan("evaluate", *arguments, "labels=labels.npy")[0] == 0
    several = ("images=[plain.npy,real.npz]", *arguments[1:], "labels=[labels.npy,labels.npy]")
    assert gan("evaluate", *several)[0] == 0
    saved = json.loads((files / "out" / "metrics.json").read_text())
    assert saved["labels"] == "real"
    assert saved["measures"]["plain"] == saved["measures"]["real"]


def test_measures_and_extractors_of_ones_own_are_objects_or_configs(data):
    shift = {"_target_": "my_gan.MeanShift", "scale": 2.0}
    for measures in ([MeanShift(2.0), "fid"], [shift, "fid"]):
        result = measure(data.train_images[:50], data=data, measures=measures, extractor=EdgeExtractor())
        assert set(result.columns["images"]) == {"test/mean_shift_edges", "test/fid_edges"}


def test_light_and_nearly_black_images_are_warned_of(data, caplog):
    images = data.train_images[:100]
    with caplog.at_level(logging.WARNING, logger="gan"):
        measure({"light": 255 - images, "black": images // 64, "real": images}, data=data, measures=["modes"])
        measure(255 - images, data=data, measures=["modes"], invert=True)
    light, black = [record.message for record in caplog.records if record.message.startswith("images (")]
    assert light.startswith("images (light): mostly light")
    assert light.endswith("invert=true inverts the images")
    assert black.startswith("images (black): nearly black, with a mean pixel of 0.")


@pytest.mark.usefixtures("no_pictures")
def test_cas_of_given_images(gan, files, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(files / "cache"))
    few = tuple(part[:300] for part in Digits().train())
    monkeypatch.setattr(Digits, "train", lambda self: few)
    short = "{_target_: gan.metrics.measures.cas.ClassificationAccuracy, num_images: 100, epochs: 1}"
    small = ("data=digits", "data.val_size=100", "device=cpu", "num_samples=200", "hydra.run.dir=out")
    small += (f"metrics.measures=[fid,{short}]",)
    code, out, _ = gan("evaluate", "images=[real.npz,noise.npy]", *small)
    assert code == 0
    # 100 generated ones, with and without the 300 real ones, and these
    assert out.index("cas trains 3 classifiers for 1 epochs, 800 images in all") < out.index("measured in")
    columns = json.loads((files / "out" / "metrics.json").read_text())["measures"]
    assert {"test/cas", "test/cas_plus_real"} <= columns["real"].keys()
    assert "test/cas" not in columns["noise"]
    assert "test/cas" in columns["floor"]
    assert "cas trains 2 classifiers" in gan("evaluate", "images=real.npz", *small)[1]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["images=nothing.npz"], "images=nothing.npz: there is no file or folder there"),
        (["images=real.npz", "labels=nothing.npy"], "labels=nothing.npy: there is no file there"),
        (["images=real.npz", "labels=labels.pt"], "labels=labels.pt: not a file of labels that is known here; an .npz"),
        (["images=[]"], "images=[]: name at least one"),
        (["images=[real.npz,real.npz]"], "images: real.npz is named more than once"),
        (["images=[real.npz,./real.npz]"], "images: ./real.npz is named more than once"),
        (["images=real.npz", "labels=[real,even]"], "labels=['real', 'even']: real or even, and a file, or null, for"),
        (["images=real.npz", "labels=[a.npy,b.npy]"], "labels=['a.npy', 'b.npy']: real or even, and a file, or null"),
        (["images=real.npz", "resize=cut"], "resize=cut: crop, area, bilinear, bicubic, nearest, or null"),
        (["images=real.npz", "invert=2"], "invert=2: true or false"),
        (["images=real.npz", "confidence=95"], "confidence=95: a number, above 0, below 1, or null"),
        (["images=real.npz", "repeats=2000"], "repeats=2000: real has 1300 images"),
        (
            ["images=noise.npy", "metrics.measures=[cas]"],
            "metrics.measures: cas needs a conditional model, or",
        ),
        (["images=noise.npy", "labels=real.npz"], "labels=real.npz: labels [1300] for 400 images"),
        (["labels=real.npz"], "labels=real.npz: real or even; a file of labels needs images="),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(gan, files, arguments, line):
    code, _, err = gan("evaluate", *arguments, "data=digits", "data.val_size=100", "device=cpu", "hydra.run.dir=out")
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith(f"gan evaluate: {line}")
    assert not (files / "out").exists()


def test_a_checkpoint_named_in_two_ways_is_refused(gan, files, trained):
    checkpoint = trained("conditional") / "checkpoints" / "last.ckpt"
    twice = f"ckpt=['{checkpoint}','{checkpoint.parent}/../checkpoints/last.ckpt']"
    code, _, err = gan("evaluate", twice, *SMALL, "hydra.run.dir=out")
    assert (code, "last.ckpt is named more than once" in err) == (2, True)


def test_mistakes_in_python_are_named(data):
    images = data.train_images[:50]
    for arguments, message in (
        (({},), r"images: \[\]; at least one name"),
        (({"floor": images},), r"images: \['floor'\]; at least one name, and floor is the name of"),
        (({1: images, "1": images}, None), r"images: \[1, '1'\]; two of these names are the same text"),
        ((images, {"mine": [1]}), "labels: labels are several by name, and the images have no names"),
        (({"mine": images}, [1] * 50), "labels: images are several by name, and the labels have no names"),
        (({"mine": images}, {"theirs": [1]}), r"labels: theirs is none of the images \['mine'\]"),
        (({"mine": images[:, :, 4:]},), r"images \(mine\): images of 24x28"),
        ((images, [1, 2]), r"labels \(images\): labels \[2\] for 50 images"),
    ):
        with pytest.raises(UserError, match=message):
            measure(*arguments, data=data)
    with pytest.raises(UserError, match="floor_labels=Real: real or even"):
        measure(images, data=data, floor_labels="Real")
    with pytest.raises(UserError, match="num_samples=0: a whole number, 1 or more"):
        measure(images, data=data, num_samples=0)
    with pytest.raises(UserError, match=r"data=digits: a gan\.data\.MNISTDataModule, or None"):
        measure(images, data="digits")
    with pytest.raises(UserError, match=r"metrics\.measures=fid: a list of names"):
        measure(images, data=data, measures="fid")


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_measured(data, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="folder=~/file: it cannot be written there"):
        measure(data.train_images[:0], data=data, folder="~/file")


@pytest.mark.usefixtures("no_pictures")
def test_a_path_from_python_may_be_below_the_home_folder(files, monkeypatch):
    monkeypatch.setenv("HOME", str(files))
    paths = ["images='~/real.npz'", "output_dir='~/out'"]
    columns = evaluate(compose("evaluate", [*paths, "data=digits", "num_samples=20", "metrics.measures=[modes]"]))
    assert list(columns) == ["real", "floor"]
    assert (files / "out" / "metrics.json").is_file()


def test_names_and_numbers_may_be_those_of_numpy_and_a_folder_below_the_home_folder(
    data, monkeypatch, tmp_path, no_pictures
):
    monkeypatch.setenv("HOME", str(tmp_path))
    epochs = {np.int64(1): data.train_images[:60], 2: data.train_images[60:120]}
    numbers = {"num_samples": np.int64(20), "repeats": np.uint8(2), "confidence": np.float32(0.5)}
    result = measure(
        epochs, {1: data.train_labels[:60]}, data=data, measures=["digit_accuracy"], folder="~/mine", **numbers
    )
    assert list(result.columns) == ["1", "2", "floor"]
    assert "test/digit_accuracy_spread" in result.columns["1"]
    assert (tmp_path / "mine" / "metrics.md").read_text() == result.markdown()
