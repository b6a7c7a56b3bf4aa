"""The class that validation and evaluation share."""

import math
import subprocess
import sys

import pytest
import torch
from my_gan import EdgeExtractor, MeanShift
from torch import nn

from gan.errors import UserError
from gan.metrics import MEASURES, ImageMeasures, build_measures
from gan.metrics.measures import neighbours


def test_all_measures_of_a_perfect_generator(measure, measures, sets):
    result = measure(sets.generated, sets.generated_labels)
    assert measures.skipped == {}
    assert all(math.isfinite(value) for value in result.values())
    looks = {"mean", "std", "contrast", "sharpness"}
    plain = set(MEASURES) - {"quality", "memorization", "class_fid", "class_accuracy", "cas"}
    spreads_and_parts = {"is_std", "kid_std", "memorization_ratio", "memorization_share"}
    of_classes = {f"{what}_class_{digit}" for what in ("fid", "accuracy") for digit in range(10)}
    assert set(result) == plain | spreads_and_parts | of_classes | looks | {f"real_{key}" for key in looks}
    # Precision and recall of 599 real digits against as many others are about 0.8.
    assert min(result["precision"], result["recall"], result["coverage"], result["density"]) > 0.7
    assert result["modes"] == 10
    assert 0.7 < result["memorization_ratio"] < 1.3
    assert result["memorization_share"] < 0.1


def test_a_set_equals_itself(measure, sets):
    result = measure(sets.held_out, sets.held_out_labels)
    assert result["fid"] == pytest.approx(0, abs=1e-4)
    # KID leaves the pairs of a sample with itself out of the sets' own means but not of the mean between them.
    assert result["kid"] < 0.005
    assert (result["precision"], result["recall"], result["coverage"]) == (1, 1, 1)
    assert result["mean"] == result["real_mean"]
    assert result["sharpness"] == result["real_sharpness"]


@pytest.mark.parametrize("size", [31, 300])
def test_batches_and_order_change_nothing(measures, measure, sets, size):
    whole = measure(sets.generated, sets.generated_labels)
    measures.generated.clear()
    order = torch.randperm(len(sets.generated), generator=torch.Generator().manual_seed(0))
    for chosen in order.split(size):
        measures.generated.add(sets.generated[chosen], sets.generated_labels[chosen])
    assert measures.compute() == pytest.approx(whole, rel=1e-3, abs=1e-4)


def test_real_images_stay_and_generated_ones_go(sets, collected):
    measures = collected(["fid"], sets.held_out)
    results = []
    for images in (sets.generated, sets.training, sets.generated):
        measures.generated.clear()
        measures.generated.add(images)
        results.append(measures.compute()["fid"])
    assert results[0] == results[2] != results[1]
    measures.real.clear()
    assert measures.compute() == {}


@pytest.mark.parametrize("count", [0, 1, 2, 5, 20, 150])
def test_few_images_give_reasons_instead_of_nan(sets, collected, count):
    real, generated = (sets.held_out, sets.held_out_labels), (sets.generated, sets.generated_labels)
    few = [tuple(part[:count] for part in parts) for parts in (real, generated)]
    measures = collected(None, *few, sets.training[:count])
    result = measures.compute()
    assert all(math.isfinite(value) for value in result.values())
    assert measures.skipped["kid"] == (
        f"kid takes at least 1,000 real and 1,000 generated images, not {count} and {count}"
    )
    assert not set(measures.skipped) & set(result)
    assert ("fid" in result) == (count >= 2)
    assert ("is" in result) == (count >= 100)


def test_identical_black_images_give_numbers(measure):
    result = measure(torch.zeros(300, 1, 28, 28, dtype=torch.uint8), torch.zeros(300, dtype=torch.int64))
    assert all(math.isfinite(value) for value in result.values())
    assert result["is"] == pytest.approx(1)
    assert result["class_balance"] == pytest.approx(math.log(10))


def test_three_channels_are_three_digits(extractor, sets, collected):
    def stacked(images, labels):
        images, labels = images[:597].view(199, 3, 28, 28), labels[:597].view(199, 3)
        return images, (labels * torch.tensor([100, 10, 1])).sum(1)

    measures = collected(
        build_measures(None, extractor, {"kid": {"subset_size": 100, "subsets": 2}}),
        stacked(sets.held_out, sets.held_out_labels),
        stacked(sets.generated, sets.generated_labels),
        stacked(sets.training, sets.training_labels),
    )
    result = measures.compute()
    assert set(measures.skipped) == {"class_fid", "class_accuracy"}  # of ten classes
    assert all(math.isfinite(value) for value in result.values())
    single = collected(["digit_accuracy"], generated=(sets.generated[:597], sets.generated_labels[:597]))
    # All three digits have to be right.
    assert result["digit_accuracy"] <= single.compute()["digit_accuracy"]
    assert 150 < result["modes"] <= 199
    assert math.log(1000 / 199) <= result["class_balance"] < math.log(1000 / 150)


def test_nearest_training_images(measures, extractor, sets):
    features = extractor(sets.training[100:110])[0].double()
    distances, indices = neighbours.nearest(features, measures.sets().training.features, 3)
    assert indices[:, 0].tolist() == list(range(100, 110))
    assert distances[:, 0] == pytest.approx(torch.zeros(10), abs=1e-3)
    assert (distances.diff(dim=1) >= 0).all()


def test_a_measure_that_computes_nan_or_what_another_one_does_is_left_out(sets, collected):
    class Undeclared(MeanShift):
        name = "fid"
        values = {}

        def compute(self, sets):
            return {"mean_shift": 0.0}

    for wrong, key in ((MeanShift(math.nan), "mean_shift"), (Undeclared(), "fid")):
        wanted = ["modes", MeanShift(), wrong] if key == "fid" else ["modes", wrong]
        measures = collected(wanted, sets.held_out[:50], sets.generated[:50])
        assert all(math.isfinite(value) and value > 0 for value in measures.compute().values())
        reason = f"{key} computed NaN, or what another measure computes, as mean_shift"
        assert measures.skipped == {key: reason}
        assert all(math.isfinite(end) for ends in measures.intervals(measures.compute(), 0.95).values() for end in ends)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_features_that_are_not_finite_are_measured_by_nothing(sets, collected, wrong):
    class Overflowing(EdgeExtractor):
        def forward(self, images):
            features, logits = super().forward(images)
            return features.masked_fill(images.flatten(1).amax(1, keepdim=True) == 0, wrong), logits

    black = torch.zeros_like(sets.generated)
    measures = collected(["fid", "precision"], sets.held_out, black, extractor=Overflowing())
    assert measures.compute() == {}
    assert measures.skipped["fid"] == "fid: the extractor's features or logits of generated images are not finite"
    measures.generated.clear()
    measures.generated.add(sets.generated)
    assert measures.compute().keys() == {"fid", "precision"}


def test_an_extractor_that_reads_no_digits(sets, collected):
    measures = collected(None, sets.held_out, sets.generated, extractor=EdgeExtractor())
    assert {"fid", "is", "precision", "sharpness"} <= set(measures.compute())
    assert not {"digit_accuracy", "class_balance", "modes"} & set(measures.measures)
    with pytest.raises(UserError, match=r"metrics\.measures=\['modes'\]: with metrics\.extractor=edges any of"):
        ImageMeasures(EdgeExtractor(), ["fid", "modes"])


def test_the_global_generator_is_left_alone(measure, sets):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = measure(sets.generated, sets.generated_labels)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    assert measure(sets.generated, sets.generated_labels) == first


def test_it_puts_nothing_into_a_checkpoint(measures):
    module = nn.Linear(1, 1)
    module.measures = measures
    assert set(module.state_dict()) == {"weight", "bias"}


def test_names(measures):
    assert measures.metric_name("val", "fid") == "val/fid_mnist"
    assert ImageMeasures(EdgeExtractor()).metric_name("test", "is_std") == "test/is_std_edges"
    assert measures.metric_name("test", "memorization_share") == "test/memorization_share_mnist"
    assert measures.metric_name("val", "digit_accuracy") == "val/digit_accuracy"
    assert measures.metric_name("test", "real_sharpness") == "test/real_sharpness"


def test_no_measure_against_the_training_images_where_they_are_measured_themselves(measures, sets):
    measures.generated.clear()
    measures.generated.add(sets.training)
    assert not {"memorization_ratio", "memorization_share"} & set(measures.compute(against_training=False))
    assert "memorization" not in measures.skipped


@pytest.mark.process
def test_importing_is_light_and_touches_no_network():
    code = """
import socket, sys
def refuse(*arguments): raise AssertionError("the network was touched")
socket.socket.connect = socket.getaddrinfo = refuse
import gan.metrics
assert not {"torchmetrics", "torch_fidelity", "torchvision", "lightning"} & set(sys.modules), sorted(sys.modules)
gan.metrics.build_extractor("mnist")
"""
    subprocess.run([sys.executable, "-c", code], check=True)
