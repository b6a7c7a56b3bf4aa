"""What every measure declares, and measures and extractors of one's own."""

import logging
import math

import pytest
import torch
from my_gan import EdgeExtractor, MeanShift

from gan.errors import UserError
from gan.metrics import MEASURES, ImageMeasures, build_extractor, build_measures
from gan.metrics.measures.cas import ClassificationAccuracy
from gan.metrics.measures.distributions import KernelDistance

SHIFT = {"_target_": "my_gan.MeanShift", "scale": 2.0}


def test_every_measure_returns_the_values_it_declares_with_intervals_around_them(extractor, sets, pixels):
    measures = {measure.name: measure for measure in build_measures([*MEASURES], extractor)}
    assert list(measures) == list(MEASURES)
    own = {"kid": KernelDistance(2, 100), "cas": ClassificationAccuracy(num_images=100, epochs=1)}
    chosen = [own.get(name, name) for name in measures]
    for entry, measure in zip(chosen, measures.values(), strict=True):
        one = ImageMeasures(extractor, [entry])
        one.real.add(sets.held_out[:200], sets.held_out_labels[:200])
        one.training.add(sets.training[:200])
        one.generated.add(sets.generated[:200], sets.generated_labels[:200])
        if one.need_pixels:
            one.pixels = pixels
        values = one.compute()
        assert set(values) == set(measure.values)
        assert all(type(value) is float for value in values.values())
        assert one.need_training == measure.needs_training
        intervals = one.intervals(values, 0.95)
        assert set(intervals) == {key for key in values if not key.endswith("_std") and not key.startswith("real_")}
        assert all(low <= values[key] <= high for key, (low, high) in intervals.items())


def test_measures_of_a_validation_seed_no_gpu(extractor, sets, monkeypatch):
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("the GPUs were seeded"))
    measures = ImageMeasures(extractor, ["fid", "is", KernelDistance(2, 100)])
    measures.real.add(sets.held_out[:200])
    measures.generated.add(sets.generated[:200])
    assert measures.compute().keys() >= {"fid", "is", "kid"}


@pytest.mark.parametrize(
    ("name", "count", "warning"),
    [
        ("fid", 64, "fid (64 of 65 real images, 64 of 65 generated images)"),
        ("fid", 65, None),
        ("is", 100, "is (100 of 110 generated images)"),
        ("kid", 100, "kid (100 of 101 real images, 100 of 101 generated images)"),
        ("precision", 20, "precision (20 of 500 real images, 20 of 300 generated images)"),
        ("coverage", 500, None),
        ("digit_accuracy", 20, "digit_accuracy (20 of 100 generated images)"),
        ("modes", 20, "modes (20 of 100 generated images)"),
        ("quality", 20, None),
    ],
)
def test_measures_of_few_images_warn_once(extractor, sets, caplog, name, count, warning):
    measures = ImageMeasures(extractor, build_measures([name], extractor, {"kid": {"subset_size": 100, "subsets": 2}}))
    measures.real.add(sets.held_out[:count], sets.held_out_labels[:count])
    measures.generated.add(sets.generated[:count], sets.generated_labels[:count])
    with caplog.at_level(logging.WARNING, logger="gan"):
        measures.compute()
        measures.compute()
    expected = [f"too few images to say much: {warning}"] if warning else []
    assert [record.message for record in caplog.records] == expected


def test_a_measure_is_chosen_by_name_by_target_or_as_an_object(sets, extractor):
    wanted = ["fid", SHIFT, KernelDistance(subsets=2, subset_size=100)]
    measures = ImageMeasures(extractor, wanted)
    measures.real.add(sets.held_out)
    measures.generated.add(sets.generated)
    values = measures.compute()
    assert list(values) == ["fid", "mean_shift", "kid", "kid_std"]
    seen = measures.sets()
    shift = (seen.real.features.mean(0) - seen.generated.features.mean(0)).norm()
    assert values["mean_shift"] == pytest.approx(2 * shift.item())
    assert measures.metric_name("val", "mean_shift") == "val/mean_shift_mnist"


def test_an_extractor_is_chosen_by_name_by_target_or_as_an_object(sets):
    for chosen in ({"_target_": "my_gan.EdgeExtractor"}, EdgeExtractor()):
        measures = ImageMeasures(build_extractor(chosen), ["fid", MeanShift()])
        measures.real.add(sets.held_out)
        measures.generated.add(sets.held_out)
        values = measures.compute()
        assert values == pytest.approx({"fid": 0, "mean_shift": 0}, abs=1e-6)
        assert measures.metric_name("val", "fid") == "val/fid_edges"


def test_features_of_an_extractor_with_weights_have_no_gradient(sets):
    class Weighted(EdgeExtractor):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(28))

        def forward(self, images):
            features, logits = super().forward(images)
            return features, logits * self.weight

    measures = ImageMeasures(Weighted(), ["is"])
    measures.generated.add(sets.generated)
    assert not measures.sets().generated.logits.requires_grad
    assert math.isfinite(measures.compute()["is"])


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (["fidd"], r"metrics\.measures=\['fidd'\]: with metrics\.extractor=mnist any of \['fid', "),
        ([{"_target_": "my_gan.Stripes"}], r"metrics\.measures: .*Stripes.* is not a gan\.metrics\.Measure"),
        ([{"_target_": "my_gan.Missing"}], "my_gan"),
        ([{"_target_": "my_gan.MeanShift", "size": 3}], "size"),
    ],
)
def test_an_impossible_measure_is_one_line(extractor, wanted, message):
    with pytest.raises(UserError, match=message) as raised:
        build_measures(wanted, extractor)
    assert "\n" not in str(raised.value)


def test_two_measures_of_one_name_are_refused(extractor):
    with pytest.raises(UserError, match=r"metrics\.measures: fid is named more than once"):
        build_measures(["fid", "kid", "fid"], extractor)


def test_three_dots_are_the_measures_that_are_not_named(extractor):
    def names(*wanted):
        return [measure.name for measure in build_measures(wanted, extractor)]

    everything = [name for name in MEASURES if name != "cas"]
    assert [measure.name for measure in build_measures(None, extractor)] == everything
    assert names("...", "cas") == [*everything, "cas"]
    assert names("recall", "...") == ["recall", *(name for name in everything if name != "recall")]


def test_a_measure_of_ten_classes_is_left_out_of_more(extractor, sets):
    measures = ImageMeasures(extractor, ["class_fid", "modes"])
    measures.real.add(sets.held_out, sets.held_out_labels)
    measures.generated.add(sets.generated, sets.generated_labels + 10)
    assert set(measures.compute()) == {"modes"}
    assert measures.skipped == {"class_fid": "class_fid is of 10 classes, and there are more"}


def test_a_measure_of_digits_needs_an_extractor_that_reads_them():
    with pytest.raises(UserError, match=r"modes reads digits; metrics\.extractor=edges cannot"):
        build_measures([MEASURES["modes"]()], EdgeExtractor())


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


@pytest.mark.parametrize(
    ("name", "wrong", "key"),
    [
        ("is", {"splits": 1}, "splits"),
        ("kid", {"subsets": 0}, "kid_subsets"),
        ("kid", {"subset_size": 1}, "kid_subset_size"),
    ],
)
def test_impossible_settings(extractor, name, wrong, key):
    with pytest.raises(UserError, match=f"metrics.{key}="):
        build_measures([name], extractor, {name: wrong})
