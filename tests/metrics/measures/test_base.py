"""What every measure declares, and what it says of sets that lack something."""

import logging

import pytest

from gan.metrics import MEASURES, build_measures
from gan.metrics.measures.cas import ClassificationAccuracy
from gan.metrics.measures.distributions import KernelDistance


def test_every_measure_returns_the_values_it_declares_with_intervals_around_them(extractor, sets, pixels, collected):
    measures = {measure.name: measure for measure in build_measures([*MEASURES], extractor)}
    assert list(measures) == list(MEASURES)
    own = {"kid": KernelDistance(2, 100), "cas": ClassificationAccuracy(num_images=100, epochs=1)}
    chosen = [own.get(name, name) for name in measures]
    real, generated = (sets.held_out, sets.held_out_labels), (sets.generated, sets.generated_labels)
    few = [tuple(part[:200] for part in parts) for parts in (real, generated)]
    for entry, measure in zip(chosen, measures.values(), strict=True):
        one = collected([entry], *few, sets.training[:200])
        one.pixels = pixels
        values = one.compute()
        assert set(values) == set(measure.values)
        assert all(type(value) is float for value in values.values())
        assert one.need_training == measure.needs_training
        intervals = one.intervals(values, 0.95)
        without = {"modes", *(key for key in values if key.endswith("_std") or key.startswith("real_"))}
        assert set(intervals) == set(values) - without
        assert all(low <= values[key] <= high for key, (low, high) in intervals.items())


@pytest.mark.parametrize(
    ("name", "count", "warning"),
    [
        ("fid", 64, "fid (64 of 65 real images, 64 of 65 generated images)"),
        ("fid", 65, None),
        ("is", 100, "is (100 of 110 generated images)"),
        ("precision", 20, "precision (20 of 500 real images, 20 of 300 generated images)"),
        ("coverage", 500, None),
        ("digit_accuracy", 20, "digit_accuracy (20 of 100 generated images)"),
        ("modes", 20, "modes (20 of 100 generated images)"),
        ("quality", 20, None),
    ],
)
def test_measures_of_few_images_warn_once(sets, collected, caplog, name, count, warning):
    measures = collected([name], sets.held_out[:count], (sets.generated[:count], sets.generated_labels[:count]))
    with caplog.at_level(logging.WARNING, logger="gan"):
        measures.compute()
        measures.compute()
    expected = [f"too few images to say much: {warning}"] if warning else []
    assert [record.message for record in caplog.records] == expected


def test_what_is_not_given_is_named(sets, collected):
    measures = collected(["digit_accuracy", "memorization", "modes"], sets.held_out, sets.generated)
    assert set(measures.compute()) == {"modes"}
    assert set(measures.skipped) == {"digit_accuracy", "memorization"}


def test_a_measure_of_ten_classes_is_left_out_of_more(sets, collected):
    generated = sets.generated, sets.generated_labels + 10
    measures = collected(["class_fid", "modes"], (sets.held_out, sets.held_out_labels), generated)
    assert set(measures.compute()) == {"modes"}
    assert measures.skipped == {"class_fid": "class_fid is of 10 classes, and there are more"}
