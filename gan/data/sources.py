"""Where images come from: MNIST and Fashion-MNIST as IDX files, StackedMNIST built from them, embedded digits."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from gan.config.bounds import require_number
from gan.data import idx
from gan.data.split import stratified_split

Split = Literal["train", "val", "test"]
Examples = tuple[Tensor, Tensor]
MNIST_LABELS_MD5 = "a25bea736e30d166cdddb491f175f624"
DIGITS_TEST_SIZE = 297
STACK_SEED = 3


class Source(ABC):
    """A set of images. One of your own is a subclass with a name, its classes, `train` and `test`:

        class Letters(gan.data.Source):
            name, num_classes = "letters", 26

            def train(self):
                return images, labels  # uint8 [N, 1, 28, 28] in 0..255 and int64 [N]

            def test(self):
                return images, labels

    named in a config as `source: {_target_: my_package.Letters}`, with its arguments, if it has any, beside `_target_`.

    Attributes:
        name: what a run prints and metrics go by.
        num_classes: labels are 0..num_classes-1; None where they mean nothing.
        channels: of an image, once composed.
        shows_digits: whether each channel is a handwritten digit, which measures built on reading digits ask for.
        dir: the folder for files, `data.dir`; set by the data module.
        download: whether files may be fetched, `data.download`; set by the data module.
    """

    name: str
    num_classes: int | None
    channels: int = 1
    shows_digits: bool = False
    dir: Path = Path("data")
    download: bool = True

    def prepare(self) -> None:
        """Fetches what `train` and `test` will read; one process on a machine calls it, before all call those."""
        return

    @abstractmethod
    def train(self) -> Examples:
        """Images to train and validate on: uint8 [N, C, 28, 28], and their labels: int64 [N]."""

    @abstractmethod
    def test(self) -> Examples:
        """Images for the final measures alone, as `train` returns them."""

    def compose(self, images: Tensor, labels: Tensor, split: Split) -> Examples:
        """What one split is made into: itself. Called after splitting, so that no image can get into two splits."""
        return images, labels


class IDXFiles(Source):
    """Four IDX files in `dir/<layout>/raw` (torchvision's layout) or in `dir` itself, plain or `.gz`.

    Files put there by hand may be any valid ones; downloaded ones must have the known sums.

    Attributes:
        layout: the folder's name in torchvision's layout.
        num_labels: labels in the files are 0..num_labels-1.
        mirrors: base addresses, tried in this order.
        md5: the sums of the packed files, in the order of `idx.ALL_NAMES`.
        timeout: seconds without an answer after which a mirror is given up.
    """

    num_classes: int = 10
    num_labels: int = 10
    layout: str
    mirrors: Sequence[str]
    md5: Sequence[str]

    def __init__(self, mirrors: Sequence[str] | None = None, timeout: float = 15) -> None:
        if mirrors is not None:
            self.mirrors = mirrors
        self.timeout = timeout

    def prepare(self) -> None:
        if self.download and self._find() is None:
            folder = self.dir / self.layout / "raw"
            there, by_hand = idx.present(folder), idx.present(self.dir)
            if 0 < len(by_hand) < len(idx.ALL_NAMES):  # whoever put these there does not mean what a mirror has
                missing = ", ".join(name for name in idx.ALL_NAMES if name not in by_hand)
                raise idx.DataNotFoundError(
                    f"data.dir={self.dir}: {missing} are missing beside the files that are there; add them, or name a "
                    f"folder without any of the four, and {self.layout} is downloaded into it"
                )
            try:
                for name, md5 in zip(idx.ALL_NAMES, self.md5, strict=True):
                    if name not in there:
                        idx.download(name, self.mirrors, md5, folder, self.timeout)
            except idx.DataNotFoundError as error:
                raise self._not_found(f"the download failed ({error})") from error
        self._paths()

    def train(self) -> Examples:
        return self._read("train")

    def test(self) -> Examples:
        return self._read("test")

    def _read(self, split: Literal["train", "test"]) -> Examples:
        paths = self._paths()
        images, labels = idx.NAMES[split]
        return idx.read_split(paths[images], paths[labels], self.num_labels)

    def _paths(self) -> dict[str, Path]:
        paths = self._find()
        if paths is None:
            raise self._not_found("nothing was downloaded" if self.download else "data.download=false")
        return paths

    def _find(self) -> dict[str, Path] | None:
        for folder in (self.dir / self.layout / "raw", self.dir):
            paths = idx.present(folder)
            if len(paths) == len(idx.ALL_NAMES):
                # Files of both sets have the same names: MNIST put into `dir` by hand must not pass for another set.
                foreign = folder == self.dir and self.layout != MNIST.layout and _are_mnist(paths)
                return None if foreign else paths
        return None

    def _not_found(self, reason: str) -> idx.DataNotFoundError:
        return idx.DataNotFoundError(
            f"data.dir={self.dir}: no {self.layout} files there, and {reason}; put {', '.join(idx.ALL_NAMES)}, "
            f"plain or .gz, into {(self.dir / self.layout / 'raw').absolute()}, or take the embedded data=digits"
        )


def _are_mnist(paths: dict[str, Path]) -> bool:
    labels = idx.read_bytes(paths["train-labels-idx1-ubyte"])
    return hashlib.md5(labels, usedforsecurity=False).hexdigest() == MNIST_LABELS_MD5


class MNIST(IDXFiles):
    """60,000 and 10,000 handwritten digits (LeCun, Cortes and Burges)."""

    name = "mnist"
    shows_digits = True
    layout = "MNIST"
    mirrors = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/")
    md5 = (
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    )


class FashionMNIST(IDXFiles):
    """60,000 and 10,000 pictures of clothes in ten classes (Xiao, Rasul and Vollgraf, 2017)."""

    name = "fashion_mnist"
    layout = "FashionMNIST"
    mirrors = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
    md5 = (
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    )


class StackedMNIST(MNIST):
    """Three random digits a, b, c as the channels of one image with the label 100 a + 10 b + c: 1,000 modes.

    Each split is composed of its own digits; which ones is the same for everyone. Validation and test images are as
    many as the digits they are composed of.

    Args:
        num_images: training images to compose; as many as there are training digits when not given.
        mirrors: as for MNIST.
        timeout: as for MNIST.
    """

    name = "stacked_mnist"
    num_classes = 1000
    channels = 3

    def __init__(
        self, num_images: int | None = None, mirrors: Sequence[str] | None = None, timeout: float = 15
    ) -> None:
        super().__init__(mirrors, timeout)
        require_number("data.source.num_images", num_images, least=1, whole=True, optional=True)
        self.num_images = num_images

    def compose(self, images: Tensor, labels: Tensor, split: Split) -> Examples:
        count = self.num_images if split == "train" and self.num_images is not None else len(images)
        stream = np.random.RandomState([STACK_SEED, ("train", "val", "test").index(split)])
        chosen = torch.from_numpy(stream.randint(len(images), size=(count, 3), dtype=np.int64))
        return images[:, 0][chosen], (labels[chosen] * torch.tensor([100, 10, 1])).sum(1)


class Digits(Source):
    """The 1,797 handwritten 8x8 digits that come with scikit-learn, 1,500 and 297: no files, no network.

    Enlarged to 20x20 in the middle of 28x28, as MNIST's digits lie.
    """

    name = "digits"
    shows_digits = True
    num_classes = 10

    def train(self) -> Examples:
        return self._split()[0]

    def test(self) -> Examples:
        return self._split()[1]

    def _split(self) -> tuple[Examples, Examples]:
        # Costs a second, which nobody should pay who trains on something else.
        from sklearn.datasets import load_digits

        bunch = load_digits()
        # 16 is the whitest value there.
        small = torch.from_numpy(bunch.images).float().unsqueeze(1) * (255 / 16)
        large = interpolate(small, size=(20, 20), mode="bicubic", align_corners=False)
        images = pad(large.round().clamp(0, 255), (4, 4, 4, 4)).to(torch.uint8)
        labels = torch.from_numpy(bunch.target).long()
        train, test = stratified_split(labels, DIGITS_TEST_SIZE)
        return (images[train], labels[train]), (images[test], labels[test])
