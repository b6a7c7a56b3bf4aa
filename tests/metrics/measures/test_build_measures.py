"""Measures by their names, and of one's own."""

import pytest
from my_gan import EdgeExtractor, MeanShift

from gan.errors import UserError
from gan.metrics import MEASURES, build_measures
from gan.metrics.measures.distributions import KernelDistance

SHIFT = {"_target_": "my_gan.MeanShift", "scale": 2.0}


def test_a_measure_is_chosen_by_name_by_target_or_as_an_object(sets, collected):
    measures = collected(["fid", SHIFT, KernelDistance(subsets=2, subset_size=100)], sets.held_out, sets.generated)
    values = measures.compute()
    assert list(values) == ["fid", "mean_shift", "kid", "kid_std"]
    seen = measures.sets()
    shift = (seen.real.features.mean(0) - seen.generated.features.mean(0)).norm()
    assert values["mean_shift"] == pytest.approx(2 * shift.item())
    assert measures.metric_name("val", "mean_shift") == "val/mean_shift_mnist"


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


def test_two_measures_of_one_value_are_refused(extractor):
    class Mine(MeanShift):
        values = {"kid": "lower"}

    with pytest.raises(UserError, match=r"metrics\.measures: kid and mean_shift both have a value named kid"):
        build_measures(["fid", "kid", Mine()], extractor)


def test_three_dots_are_the_measures_that_are_not_named(extractor):
    def names(*wanted):
        return [measure.name for measure in build_measures(wanted, extractor)]

    everything = [name for name in MEASURES if name != "cas"]
    assert [measure.name for measure in build_measures(None, extractor)] == everything
    assert names("...", "cas") == [*everything, "cas"]
    assert names("recall", "...") == ["recall", *(name for name in everything if name != "recall")]


def test_a_measure_of_digits_needs_an_extractor_that_reads_them():
    with pytest.raises(UserError, match=r"modes reads digits; metrics\.extractor=edges cannot"):
        build_measures([MEASURES["modes"]()], EdgeExtractor())
