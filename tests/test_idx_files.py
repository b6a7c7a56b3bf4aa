"""IDX files: what is read, and what is refused."""

import gzip

import numpy as np
import pytest
import torch
from miniature import idx_bytes, numbered

from gan import idx_files as idx
from gan.errors import UserError


def test_parse_inverts_the_format():
    array = np.random.default_rng(0).integers(0, 256, (5, 3, 2))
    assert torch.equal(idx.parse(idx_bytes(array), "x"), torch.from_numpy(array).to(torch.uint8))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\x08",
        b"\0\0\x08\x03\0\0",
        b"<html>Not found</html>",
        idx_bytes(numbered(3))[:-1],
        idx_bytes(numbered(3)) + b"\0",
        b"\0\0\x0d\x01\0\0\0\x01" + b"\0" * 4,
        idx_bytes(np.zeros((0, 28, 28))),
    ],
    ids=["empty", "no-header", "half-header", "html", "truncated", "too-long", "floats", "no-images"],
)
def test_other_content_is_refused_by_name(content):
    with pytest.raises(UserError, match="some/file: ") as error:
        idx.parse(content, "some/file")
    assert "\n" not in str(error.value)


def test_broken_gzip_is_refused_by_name(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(idx_bytes(numbered(9)))[:-20])
    with pytest.raises(UserError, match=path.name):
        idx.read_bytes(path)


def test_the_paths_of_a_pair_may_be_texts(tmp_path):
    for name, values in (("images", numbered(2)), ("labels", np.array([3, 1]))):
        (tmp_path / name).write_bytes(idx_bytes(values))
    images, labels = idx.read_split(f"{tmp_path}/images", f"{tmp_path}/labels", 10)
    assert (images.shape, labels.tolist()) == ((2, 1, 28, 28), [3, 1])


def test_gz_unpacked_by_a_browser_is_read(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(idx_bytes(numbered(2)))
    assert idx.parse(idx.read_bytes(path), str(path)).shape == (2, 28, 28)


@pytest.mark.parametrize(
    ("images", "labels", "culprit"),
    [
        (np.zeros((4, 32, 32)), np.zeros(4), "images"),
        (np.zeros(4), np.zeros(4), "images"),
        (numbered(4), np.zeros(5), "labels"),
        (numbered(4), np.zeros((4, 1)), "labels"),
        (numbered(4), np.array([1, 2, 3, 10]), "labels"),
    ],
    ids=["size", "swapped", "count", "dimensions", "label"],
)
def test_files_must_fit_each_other(tmp_path, images, labels, culprit):
    (tmp_path / "images").write_bytes(idx_bytes(images))
    (tmp_path / "labels").write_bytes(idx_bytes(labels))
    with pytest.raises(UserError, match=f"{tmp_path / culprit}: "):
        idx.read_split(tmp_path / "images", tmp_path / "labels", 10)


@pytest.mark.parametrize(
    ("channels", "num_classes", "reason"), [(3, 1000, "one channel, this model has 3"), (1, 257, "has 257 classes")]
)
def test_models_that_the_format_cannot_hold_are_refused(channels, num_classes, reason):
    idx.require_mnist_format(1, 256)
    idx.require_mnist_format(1, None)
    with pytest.raises(UserError, match=reason):
        idx.require_mnist_format(channels, num_classes)
