"""Closed forms of what is told from images one by one."""

import math

import pytest
import torch

from gan.metrics.digits import appearance, class_balance, confusion, digit_accuracy, modes, quality


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


def test_appearance_of_a_flat_image():
    assert appearance(torch.full((2, 1, 28, 28), 51, dtype=torch.uint8)).tolist() == [pytest.approx([0.2, 0, 0])] * 2


def test_appearance_of_an_edge():
    images = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    images[..., 14:] = 255
    # One of the 27 differences in a row is 1.
    assert appearance(images)[0].tolist() == pytest.approx([0.5, 0.5, 1 / 27])


def test_quality_is_that_of_all_pixels():
    images = torch.randint(0, 256, (50, 3, 28, 28), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    images[25:] //= 4
    pixels = images.double() / 255
    looks = quality(appearance(images))
    assert looks["mean"] == pytest.approx(pixels.mean().item())
    assert looks["std"] == pytest.approx(pixels.std(correction=0).item())
    assert looks["contrast"] == pytest.approx(pixels.flatten(1).std(1, correction=0).mean().item())
    assert looks["contrast"] < looks["std"]
