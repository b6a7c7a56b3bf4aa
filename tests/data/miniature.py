"""MNIST in miniature, whose images say which they are."""

import gzip
import hashlib
import struct
from itertools import chain

import numpy as np

from gan.data import MNISTDataModule
from gan.idx_files import ALL_NAMES


def idx_bytes(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def numbered(count):
    """Images whose first two pixels say which they are: uint8 [count, 28, 28]."""
    images = np.zeros((count, 28, 28), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.arange(count) // 256, np.arange(count) % 256
    return images


def numbers(images):
    """The inverse of `numbered`: the index of each image, of one channel."""
    return (images[:, 0, 0, 0].long() * 256 + images[:, 0, 0, 1].long()).tolist()


def write_mnist(folder, train=200, test=60, packed=False):
    """The four files, with labels 0..9 in turn; returns the MD5 checksum of each."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = [numbered(train), np.arange(train) % 10, numbered(test), np.arange(test) % 10]
    sums = []
    for name, array in zip(ALL_NAMES, arrays, strict=True):
        content = idx_bytes(array)
        if packed:
            content = gzip.compress(content)
        (folder / (f"{name}.gz" if packed else name)).write_bytes(content)
        sums.append(hashlib.md5(content).hexdigest())
    return sums


def flat(batches):
    """One list of all that the batches list."""
    return list(chain.from_iterable(batches))


def made(data_dir, **arguments):
    defaults = {"download": False, "val_size": 50, "batch_size": 10, "val_batch_size": 20}
    return MNISTDataModule(dir=str(data_dir), **{**defaults, **arguments})


def ready(data_dir, **arguments):
    datamodule = made(data_dir, **arguments)
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule
