"""Which measures an evaluation takes."""

from types import SimpleNamespace

import pytest
from my_gan import Stripes

from gan.config import compose
from gan.data import Digits, StackedMNIST
from gan.errors import UserError
from gan.evaluate.measuring import choose_measures


@pytest.fixture
def chosen():
    """A function from overrides to the names of the measures of one set of images."""

    def names(*overrides, source=None, labeled=True, num_real=297):
        cfg = compose("evaluate", ["data=digits", "device=cpu", *overrides])
        sets = [SimpleNamespace(labeled=labeled)]
        return {*choose_measures(cfg, source or Digits(), sets, num_real).measures}

    return names


def test_measures_that_the_data_is_too_small_for_are_left_out(chosen, caplog):
    names = chosen("num_samples=1000")
    assert "kid" not in names
    assert {"fid", "coverage", "quality", "memorization", "class_fid"} <= names
    assert caplog.messages == ["left out, as digits has 297 images: kid"]
    assert "kid" in chosen("num_samples=1000", num_real=1000)
    assert chosen("metrics.measures=[...,cas]") >= {"cas", "fid"}


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
