"""MNIST, the data sets in its format, and StackedMNIST, which is made of it."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torchvision import datasets

from gan.config.bounds import require
from gan.data.idx_source import IDXFiles
from gan.data.source import Examples, Split

STACK_SEED = 3


class MNIST(IDXFiles):
    """60,000 and 10,000 handwritten digits (LeCun, Cortes and Burges)."""

    name = "mnist"
    shows_digits = True
    published = datasets.MNIST


class FashionMNIST(IDXFiles):
    """60,000 and 10,000 pictures of clothes in ten classes (Xiao, Rasul and Vollgraf, 2017)."""

    name = "fashion_mnist"
    published = datasets.FashionMNIST


class KMNIST(IDXFiles):
    """60,000 and 10,000 cursive Japanese characters in ten classes (Clanuwat et al. 2018, arXiv:1812.01718)."""

    name = "kmnist"
    published = datasets.KMNIST


class StackedMNIST(MNIST):
    """Three random digits a, b, c as the channels of one image with the label 100 a + 10 b + c: 1,000 modes.

    Each split is made of its own digits, in the same way for everyone, and has as many images as digits; `num_images`
    is the number of training images. Other arguments are those of MNIST.
    """

    name = "stacked_mnist"
    num_classes = 1000
    channels = 3

    def __init__(
        self, num_images: int | None = None, mirrors: Sequence[str] | None = None, timeout: float = 15
    ) -> None:
        super().__init__(mirrors, timeout)
        require("data.source.num_images", num_images)
        self.num_images = num_images

    def compose(self, images: Tensor, labels: Tensor, split: Split) -> Examples:
        count = self.num_images if split == "train" and self.num_images is not None else len(images)
        stream = np.random.RandomState([STACK_SEED, ("train", "val", "test").index(split)])
        chosen = torch.from_numpy(stream.randint(len(images), size=(count, 3), dtype=np.int64))
        return images[:, 0][chosen], (labels[chosen] * torch.tensor([100, 10, 1])).sum(1)
