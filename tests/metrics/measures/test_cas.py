"""The score of a classifier trained on generated digits, on real ones in their place."""

import json
import logging
import re
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from gan.errors import UserError
from gan.metrics import ImageMeasures
from gan.metrics.measures import cas
from gan.metrics.measures.base import LabeledImages
from gan.metrics.measures.cas import ClassificationAccuracy

FEW = 200


@pytest.fixture
def score(extractor, sets, pixels, monkeypatch):
    """A function from changed pixels to the values of a short training."""
    monkeypatch.setattr(cas, "BATCH_SIZE", 20)

    def measured(epochs=1, **changes):
        measures = ImageMeasures(extractor, [ClassificationAccuracy(num_images=599, epochs=epochs)])
        measures.real.add(sets.held_out[:2], sets.held_out_labels[:2])
        measures.generated.add(sets.generated[:2], sets.generated_labels[:2])
        parts = {name: _first(getattr(pixels, name), FEW) for name in ("generated", "training", "real")}
        measures.pixels = replace(pixels, **(parts | changes))
        return measures.compute()

    return measured


def _first(examples, count):
    return LabeledImages(examples.images[:count], examples.labels[:count])


def test_it_falls_with_wrong_labels_and_dropped_classes(score, pixels):
    half = _first(pixels.generated, 300)
    images, labels = half.images, half.labels
    few = _first(pixels.training, 20)  # real ones beside them

    def swapped(share):
        count = round(share * len(labels))
        return LabeledImages(images, torch.cat([(labels[:count] + 5) % 10, labels[count:]]))

    def dropped(classes):
        chosen = torch.arange(len(labels))[labels >= classes].repeat(10)[: len(labels)]
        return LabeledImages(images[chosen], labels[chosen])

    undisturbed = score(epochs=2, generated=half, training=few)["cas"]
    assert undisturbed > 0.8
    for degrade, levels in ((swapped, (0.5, 0.9)), (dropped, (5,))):
        degraded = [score(epochs=2, generated=degrade(level), training=few)["cas"] for level in levels]
        assert all(after < before for before, after in pairwise([undisturbed, *degraded])), degraded


def test_the_seed_alone_decides_and_the_global_generator_is_left_alone(score):
    before = torch.get_rng_state()
    first = score()
    assert score() == first
    assert score(seed=1) != first
    assert torch.equal(torch.get_rng_state(), before)


def test_the_floor_is_the_real_images_and_is_trained_once(score, pixels, tmp_path, monkeypatch):
    floor = score(generated=None)
    assert set(floor) == {"cas"}
    as_generated = score(generated=_first(pixels.training, FEW))
    assert as_generated["cas"] == floor["cas"]
    (kept,) = (tmp_path / "cache" / "mnist-gan").iterdir()
    assert json.loads(kept.read_text())["accuracy"] == pytest.approx(floor["cas"])
    whole = kept.read_text()
    for damaged in (whole[:20], "[]", ""):
        kept.write_text(damaged)
        assert score(generated=None) == floor
        assert kept.read_text() == whole
    monkeypatch.setattr(cas, "train", lambda *arguments: pytest.fail("trained again"))
    assert score(generated=None) == floor
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        score(generated=None, seed=1)


def test_a_cache_that_cannot_be_written_is_one_warning(score, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING, logger="gan"):
        assert score(generated=None)["cas"] > 0
    assert [record.message.partition(":")[0] for record in caplog.records] == ["cas of the real images is not kept"]
    assert re.search(r": Not a directory \(.*/mnist-gan/cas_\w+\.json\)$", caplog.messages[0])


def test_the_cost_counts_each_training(pixels, monkeypatch):
    monkeypatch.setattr(cas, "images_per_second", lambda *arguments: 100.0)
    measure, device = ClassificationAccuracy(num_images=1000), torch.device("cpu")
    line = measure.cost([1000, 599], [pixels, replace(pixels, seed=1)], device)
    # 1,000 and 599 generated ones, with and without 599 real ones, and these twice
    images = 2 * (1000 + 1599 + 599 + 1198 + 2 * 599)
    assert line.startswith(f"cas trains 6 classifiers for 2 epochs, {images:,} images in all: about 1.9 minutes")
    assert line.endswith("; of 599 images, not 1,000")


def test_it_is_left_out_where_only_features_are_kept(extractor, sets):
    measures = ImageMeasures(extractor, ["cas"])
    measures.real.add(sets.held_out, sets.held_out_labels)
    measures.generated.add(sets.generated, sets.generated_labels)
    assert measures.compute() == {}
    assert measures.skipped["cas"] == "cas needs the images themselves; `gan evaluate` measures it"


@pytest.mark.parametrize(("key", "value"), [("num_images", 5), ("epochs", 0), ("epochs", 1.5)])
def test_impossible_settings(key, value):
    with pytest.raises(UserError, match=f"^cas_{key}={value}: a whole number"):
        ClassificationAccuracy(**{key: value})
