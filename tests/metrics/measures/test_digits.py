"""Closed forms of the measures of digits that a classifier reads."""

import math

import pytest
import torch

from gan.metrics.measures.digits import class_balance, confusion, digit_accuracy, modes


def test_digit_accuracy():
    assert digit_accuracy(torch.tensor([1, 2, 3, 4]), torch.tensor([1, 2, 3, 5])) == 0.75


def test_class_balance():
    assert class_balance(torch.arange(10), 10) == pytest.approx(0)
    assert class_balance(torch.zeros(7, dtype=torch.int64), 10) == pytest.approx(math.log(10))
    assert class_balance(torch.arange(50) % 5, 10) == pytest.approx(math.log(2))
    assert class_balance(torch.arange(500), 1000) == pytest.approx(math.log(2))


def test_modes():
    assert modes(torch.tensor([999, 0, 0, 5])) == 3


def test_confusion():
    table = confusion(torch.tensor([0, 0, 2]), torch.tensor([0, 1, 2]), 3)
    assert table.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]
