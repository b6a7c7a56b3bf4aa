"""What is measured: sets of equal size, a floor of as many real images, and which measures are taken."""

import json
import logging
from types import SimpleNamespace

import pytest
import torch
from my_gan import Stripes

from gan.config import compose
from gan.data import Digits, StackedMNIST
from gan.errors import UserError
from gan.evaluate import measure
from gan.evaluate.comparison import choose_measures, folder_names
from gan.inference import DigitGenerator
from gan.metrics import ImageMeasures, build_extractor
from gan.metrics.features import FeatureCollector


def test_the_pictures_of_each_set_have_a_folder_of_their_own():
    names = ["a/b_c", "a_b/c", "a_b_c_2", "../up"]
    assert list(folder_names(names).values()) == ["a_b_c", "a_b_c_2", "a_b_c_2_2", "__up"]


def test_all_columns_are_of_equally_many_images(data, caplog):
    with caplog.at_level(logging.WARNING, logger="gan"):
        result = measure({"few": data.train_images[:210]}, data=data, measures=["modes", "fid"], repeats=2)
    line = "num_samples=10000, repeats=2: few has 210 images, so each set and the floor are measured on 105"
    assert line in [record.message for record in caplog.records]
    assert {"test/fid_mnist", "test/fid_mnist_spread", "test/modes", "test/modes_spread"} == set(result.columns["few"])
    assert result.columns["floor"].keys() == result.columns["few"].keys()


def test_measures_that_take_more_images_than_given_are_left_out(data):
    result = measure({"few": data.train_images[:48]}, data=data)
    assert "test/fid_mnist" in result.columns["few"]
    assert "test/is_mnist" not in result.columns["few"]  # it takes 100


def test_repeats_are_of_other_images(data, monkeypatch):
    seen = []
    add = FeatureCollector.add

    def kept(self, images, labels):
        seen.append(images.flatten(1))
        add(self, images, labels)

    monkeypatch.setattr(FeatureCollector, "add", kept)
    measure({"real": data.train_images}, data=data, measures=["fid"], repeats=3, num_samples=300, split="val")
    _, *repeats = seen
    assert [len(part) for part in repeats] == [300] * 6
    for parts in (repeats[:3], repeats[3:]):  # those of the set, those of the floor
        assert len(torch.cat(parts).unique(dim=0)) > 895  # a few of the images are the same ones


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_labels_are_those_of_the_real_images_or_even(checkpoints, measured, monkeypatch):
    given = {}
    add = FeatureCollector.add

    def kept(self, images, labels):
        given.setdefault(self, []).extend(labels.tolist())
        add(self, images, labels)

    monkeypatch.setattr(FeatureCollector, "add", kept)
    _, folder = measured(checkpoints["conditional"], "metrics.measures=[class_balance]")
    real, generated = given.values()
    model = generated[:400]
    assert model == (real * 2)[:400]
    assert json.loads((folder / "metrics.json").read_text())["labels"] == "real"
    given.clear()
    measured(checkpoints["conditional"], "metrics.measures=[class_balance]", "labels=even", "num_samples=403")
    _, generated = given.values()
    model, floor = generated[:403], generated[403:]
    assert model == [i % 10 for i in range(403)]
    assert sorted(floor) == sorted(model)

    given.clear()
    measured(checkpoints["conditional"], "metrics.measures=[class_balance]", "num_samples=100")
    real, generated = (torch.tensor(labels).bincount() for labels in given.values())
    assert (generated - 200 * real / real.sum()).abs().max() <= 2  # of the model and of the floor, 100 each


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_labels_without_a_meaning_are_neither_generated_nor_given_to_the_floor(checkpoints, measured):
    columns, _ = measured(
        checkpoints["conditional"],
        "data.source._target_=my_gan.UnlabelledDigits",
        "metrics.measures=[digit_accuracy,class_balance]",
    )
    assert "test/digit_accuracy" not in columns["floor"]
    labels = torch.arange(400) % 10
    generator = DigitGenerator.open(checkpoints["conditional"], device="cpu")
    expected = ImageMeasures(build_extractor("mnist"), ["digit_accuracy", "class_balance"])
    expected.generated.add(generator.generate(400, seed=0), labels)
    assert columns["conditional/last"]["test/class_balance"] == expected.compute()["class_balance"]


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_the_floor_has_a_spread_of_its_own_and_tells_when_it_is_of_fewer_images(checkpoints, measured, caplog):
    columns, folder = measured(checkpoints["conditional"], "repeats=2", "metrics.measures=[fid]")
    assert columns["floor"]["test/fid_mnist_spread"] > 0
    once, _ = measured(checkpoints["conditional"], "metrics.measures=[fid]", "num_samples=1300")
    assert set(once["floor"]) == {"test/fid_mnist"}
    assert "the floor is of 1200 images, not 1300: there are no more" in caplog.messages
    table = json.loads((folder / "metrics.json").read_text())
    assert table["intervals"].keys() == table["measures"].keys()


@pytest.fixture
def chosen():
    """A function from overrides to the names of the measures of one set of images."""

    def names(*overrides, source=None, labeled=True, num_real=297, lowered=False):
        cfg = compose("evaluate", ["data=digits", "device=cpu", *overrides])
        sets = [SimpleNamespace(labeled=labeled)]
        return {*choose_measures(cfg, source or Digits(), sets, num_real, lowered).measures}

    return names


def test_measures_that_the_data_is_too_small_for_are_left_out(chosen, caplog):
    names = chosen("num_samples=1000")
    assert "kid" not in names
    assert {"fid", "coverage", "quality", "memorization", "class_fid"} <= names
    assert caplog.messages == ["left out, as digits has 297 images: kid"]
    assert "kid" in chosen("num_samples=1000", num_real=1000)
    assert chosen("metrics.measures=[...,cas]") >= {"cas", "fid"}


def test_measures_that_given_images_are_too_few_for_are_left_out(chosen, caplog):
    names = chosen("num_samples=48", num_real=1000, lowered=True)
    assert not {"is", "kid"} & names
    assert {"fid", "coverage", "quality"} <= names
    assert caplog.messages == ["left out, as each set has 48 images: is, kid"]
    with pytest.raises(UserError, match="is takes at least 100 generated images, not 48"):
        chosen("num_samples=48", "metrics.measures=[is]", lowered=True)


def test_published_numbers_of_other_sizes_are_warned_of(chosen, caplog):
    for count in (10_000, 26_000):
        chosen("metrics.measures=[fid,modes]", f"num_samples={count}", source=StackedMNIST())
    assert caplog.messages == ["num_samples=10000: published numbers of modes are of 26000 samples"]


def test_measures_of_labels_are_refused_only_where_they_are_named(chosen):
    assert {"fid", "coverage"} <= chosen("num_samples=1000", "metrics.measures=[...,fid]", labeled=False)
    with pytest.raises(UserError, match=r"^metrics\.measures: digit_accuracy needs a conditional model"):
        chosen("num_samples=1000", "metrics.measures=[...,digit_accuracy]", labeled=False)


@pytest.mark.parametrize(
    ("overrides", "others", "message"),
    [
        (["num_samples=50"], {}, "num_samples=50, metrics.measures: is takes at least 100 generated images, not 50"),
        (["metrics.extractor=vgg"], {}, "metrics.extractor=vgg: mnist, fashion_mnist, kmnist, inception"),
        ([], {"source": Stripes()}, "metrics.extractor=mnist: stripes shows no digits"),
        (["metrics.measures=[digit_accuracy]"], {"labeled": False}, "digit_accuracy needs a conditional model"),
    ],
)
def test_measures_that_do_not_fit_are_one_line(chosen, overrides, others, message):
    with pytest.raises(UserError, match=message) as raised:
        chosen(*overrides, **others)
    assert "\n" not in str(raised.value)
