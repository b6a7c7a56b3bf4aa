"""Conversions and sheets of images."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from gan.images import grid, normalize, pictures, png, pngs, quantize, unit


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


@pytest.mark.parametrize("channels", [1, 3])
def test_png_files_are_those_of_the_pictures(channels):
    images = torch.randint(0, 256, (5, channels, 28, 30), dtype=torch.uint8)
    for file, picture in zip(pngs(images), pictures(images), strict=True):
        for content in (file, png(picture)):
            opened = Image.open(io.BytesIO(content))
            opened.verify()  # the checksums
            assert (opened.mode, opened.size) == (picture.mode, (30, 28))
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), np.asarray(picture))
    assert pngs(images[:0]) == []
