"""Images and labels in files, as other programs save them."""

import struct

import numpy as np
import torch
from PIL import Image

from gan.evaluate.image_files import read_images
from gan.evaluate.image_formats import as_images

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 1, 28, 28), np.uint8)
LABELS = np.random.default_rng(1).integers(0, 10, 12)


def idx(array):
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def read(path):
    found = read_images(path)
    images = torch.cat([as_images(array, 1, None, False, "", found.of_8_bits) for array in found.arrays])
    return images.numpy(), None if found.labels is None else [int(label) for label in found.labels]


def save_pictures(folder, name, mode="L", suffix=".png"):
    for number, (image, label) in enumerate(zip(IMAGES[:, 0], LABELS, strict=True)):
        path = folder / name.format(number=number, label=label, suffix=suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).convert(mode).save(path)
