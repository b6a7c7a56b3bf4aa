"""Closed forms of the measures of digits that a classifier reads."""

import math

import pytest
import torch
from torch.nn.functional import one_hot

from gan.metrics.measures.digits import ClassBalance, DigitAccuracy, Modes, confusion


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


def test_confusion():
    table = confusion(torch.tensor([0, 0, 2]), torch.tensor([0, 1, 2]), 3)
    assert table.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]
