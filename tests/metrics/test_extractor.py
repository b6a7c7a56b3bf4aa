"""Which extractor is taken, and whose classes it reads."""

import pytest
import torch
from my_gan import EdgeExtractor, MeanShift

from gan.data import KMNIST, MNIST, Digits, FashionMNIST, StackedMNIST
from gan.errors import UserError
from gan.metrics import DigitClassifier, DigitExtractor, ImageMeasures, build_extractor
from gan.metrics.extractor import full_precision


def test_an_extractor_is_chosen_by_name_by_target_or_as_an_object(sets):
    for chosen in ({"_target_": "my_gan.EdgeExtractor"}, EdgeExtractor()):
        measures = ImageMeasures(build_extractor(chosen), ["fid", MeanShift()])
        measures.real.add(sets.held_out)
        measures.generated.add(sets.held_out)
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


@pytest.fixture
def tf32():
    """The settings that allow it, which are put back."""
    settings = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [each.allow_tf32 for each in settings]
    yield settings
    for each, value in zip(settings, before, strict=True):
        each.allow_tf32 = value


def test_inside_full_precision_nothing_is_rounded_and_after_it_all_is_as_before(tf32):
    for each in tf32:
        each.allow_tf32 = True
    values = torch.ones(3, 3)
    with torch.autocast("cpu", torch.bfloat16):
        with full_precision(torch.device("cpu")):
            assert not any(each.allow_tf32 for each in tf32)
            assert (values @ values).dtype == torch.float32
        assert (values @ values).dtype == torch.bfloat16
    assert all(each.allow_tf32 for each in tf32)


def test_an_extractor_of_ones_own_is_in_evaluation_mode(sets):
    class Dropping(EdgeExtractor):
        def __init__(self):
            super().__init__()
            self.dropout = torch.nn.Dropout(0.5)

        def forward(self, images):
            return tuple(self.dropout(values) for values in super().forward(images))

    measures = ImageMeasures(build_extractor(Dropping()), ["fid"])
    measures.real.add(sets.held_out)
    measures.generated.add(sets.held_out)
    assert measures.compute()["fid"] == pytest.approx(0, abs=1e-6)
