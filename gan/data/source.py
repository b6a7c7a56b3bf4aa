"""What a source of images is: the class that one of your own derives from."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Literal

from torch import Tensor

from gan.errors import UserError

Split = Literal["train", "val", "test"]
Examples = tuple[Tensor, Tensor]


class DataNotFoundError(UserError):
    """The files of a data set are not on the disk, and no mirror has them."""


class Source(ABC):
    """A set of images. One of your own is a subclass with a name, its classes, `train` and `test`:

        class Letters(gan.data.Source):
            name, num_classes = "letters", 26

            def train(self):
                return images, labels  # uint8 [N, 1, 28, 28] in 0..255 and int64 [N]

            def test(self):
                return images, labels

    A config names it as `source: {_target_: my_package.Letters}`; its arguments stand beside `_target_`.

    Attributes:
        name: the name in logs and file names.
        num_classes: labels are 0..num_classes-1; None if they have no meaning.
        channels: channels of an image after `compose`.
        shows_digits: whether each channel is a digit, and labels with a meaning are those; measures of digits need it.
        dir: the folder of the files, `data.dir`; the data module sets it.
        download: whether files may be downloaded, `data.download`; the data module sets it.
    """

    name: str
    num_classes: int | None = None
    channels: int = 1
    shows_digits: bool = False
    dir: Path = Path("data")
    download: bool = True

    def prepare(self) -> None:
        """Downloads what `train` and `test` read. One process of each machine calls it, before all processes read."""
        return

    @abstractmethod
    def train(self) -> Examples:
        """Images to train and validate on: uint8 [N, C, 28, 28], and their labels: int64 [N]."""

    @abstractmethod
    def test(self) -> Examples:
        """Images for the evaluation only, in the same format."""

    def compose(self, images: Tensor, labels: Tensor, split: Split) -> Examples:
        """The images of one split that are used: by default, as they are.

        It is called after the split, so that no image can be in two splits.
        """
        return images, labels
