"""Conversions and sheets of images."""

import torch

from gan.images import grid, normalize, quantize, unit


def test_conversions_invert_each_other():
    images = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    assert torch.equal(quantize(normalize(images)), images)
    assert (normalize(images).min(), normalize(images).max()) == (-1, 1)
    assert (unit(images).min(), unit(images).max()) == (0, 1)
    assert torch.equal(quantize(torch.tensor([-2.0, 2.0])), torch.tensor([0, 255], dtype=torch.uint8))


def test_grid_places_images_row_by_row():
    images = torch.stack([torch.full((1, 2, 2), value, dtype=torch.uint8) for value in (10, 20, 30)])
    sheet = grid(images, columns=2, padding=1)
    assert (sheet.size, sheet.mode) == ((7, 7), "L")
    assert [sheet.getpixel(at) for at in ((1, 1), (4, 1), (1, 4), (4, 4), (0, 0), (3, 3))] == [10, 20, 30, 0, 0, 0]
    assert grid(images.expand(3, 3, 2, 2)).mode == "RGB"
