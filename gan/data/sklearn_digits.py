"""scikit-learn's digits as a source of images: no files, no network."""

from functools import cache

import torch
from torch.nn.functional import interpolate, pad

from gan.data.batches import stratified_split
from gan.data.source import Examples, Source

DIGITS_TEST_SIZE = 297


class Digits(Source):
    """The 1,797 handwritten 8x8 digits that come with scikit-learn, 1,500 and 297: no files, no network.

    They are enlarged to 20x20 and centred in 28x28, like MNIST's digits.
    """

    name = "digits"
    shows_digits = True
    num_classes = 10

    def train(self) -> Examples:
        return _digits()[0]

    def test(self) -> Examples:
        return _digits()[1]


@cache
def _digits() -> tuple[Examples, Examples]:
    # Imported on use: it takes a second.
    from sklearn.datasets import load_digits

    bunch = load_digits()
    # Pixels are 0..16 there.
    small = torch.from_numpy(bunch.images).float().unsqueeze(1) * (255 / 16)
    large = interpolate(small, size=(20, 20), mode="bicubic", align_corners=False)
    images = pad(large.round().clamp(0, 255), (4, 4, 4, 4)).to(torch.uint8)
    labels = torch.from_numpy(bunch.target).long()
    train, test = stratified_split(labels, DIGITS_TEST_SIZE)
    return (images[train], labels[train]), (images[test], labels[test])
