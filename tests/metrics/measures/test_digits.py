"""Closed forms of the measures of digits that a classifier reads; those of a class are of the images of that class."""

import math

import pytest
import torch
from torch.nn.functional import one_hot

from gan.metrics.measures.digits import ClassAccuracy, ClassBalance, DigitAccuracy, Modes


def test_digit_accuracy(computed):
    logits = one_hot(torch.tensor([1, 2, 3, 4]), 10)
    assert computed(DigitAccuracy(), logits=logits, labels=torch.tensor([1, 2, 3, 5])) == {"digit_accuracy": 0.75}


@pytest.mark.parametrize(
    ("digits", "num_classes", "expected"),
    [
        (torch.arange(10), 10, 0),
        (torch.zeros(7, dtype=torch.int64), 10, math.log(10)),
        (torch.arange(50) % 5, 10, math.log(2)),
        (torch.arange(500), 1000, math.log(2)),
    ],
)
def test_class_balance(computed, digits, num_classes, expected):
    values = computed(ClassBalance(), logits=one_hot(digits, num_classes))
    assert values == {"class_balance": pytest.approx(expected)}


def test_modes(computed):
    assert computed(Modes(), logits=one_hot(torch.tensor([999, 0, 0, 5]), 1000)) == {"modes": 3}


def test_fid_of_a_class_is_the_fid_of_its_images(sets, collected):
    real, generated = (sets.held_out, sets.held_out_labels), (sets.generated, sets.generated_labels)
    values = collected(["class_fid"], real, generated).compute()
    for label in (0, 7):
        one = collected(["fid"], *(images[labels == label] for images, labels in (real, generated)))
        assert values[f"fid_class_{label}"] == pytest.approx(one.compute()["fid"], abs=1e-4)


def test_a_class_without_images_has_no_value(sets, collected):
    kept = sets.generated_labels != 4
    generated = sets.generated[kept], sets.generated_labels[kept]
    measures = collected(["class_fid", "class_accuracy"], (sets.held_out, sets.held_out_labels), generated)
    others = {f"{what}_class_{label}" for what in ("fid", "accuracy") for label in range(10) if label != 4}
    values = measures.compute()
    assert set(values) == others == set(measures.intervals(values, 0.9))


def test_accuracy_of_each_class(computed):
    logits = one_hot(torch.tensor([1, 1, 2, 2, 5]), 10)
    values = computed(ClassAccuracy(), logits=logits, labels=torch.tensor([1, 1, 2, 3, 3]))
    assert values == {"accuracy_class_1": 1, "accuracy_class_2": 1, "accuracy_class_3": 0}
