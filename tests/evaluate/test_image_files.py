"""Images and labels are found in the files of other programs, and of `gan generate`."""

import gzip

import numpy as np
import pytest
from PIL import Image
from saved_images import IMAGES, LABELS, idx, read, save_pictures

from gan.errors import UserError
from gan.evaluate.image_files import read_images, read_labels
from gan.images import png


def broken_png():
    """A PNG file whose part with the pixels is longer than it says."""
    content = png(Image.fromarray(IMAGES[0, 0]))
    return content[:35] + bytes(2) + content[37:]


@pytest.mark.parametrize(
    ("images", "labels"),
    [("images", "labels"), ("arr_0", "arr_1"), ("x_test", "y_test"), ("samples", "targets"), ("pictures", "label")],
)
def test_an_npz_file(tmp_path, images, labels):
    np.savez(tmp_path / "a.npz", **{images: IMAGES, labels: LABELS})
    found, classes = read(tmp_path / "a.npz")
    assert np.array_equal(found, IMAGES)
    assert classes == LABELS.tolist()
    np.savez_compressed(tmp_path / "b.npz", IMAGES[:, 0])
    assert read(tmp_path / "b.npz")[1] is None
    assert read_labels(tmp_path / "a.npz").tolist() == LABELS.tolist()
    (tmp_path / "a.npz").rename(tmp_path / "A.NPZ")
    assert read(tmp_path / "A.NPZ")[1] == read_labels(tmp_path / "A.NPZ").tolist() == LABELS.tolist()


def test_an_npy_file(tmp_path):
    np.save(tmp_path / "a.npy", IMAGES.transpose(0, 2, 3, 1) / 255)
    np.save(tmp_path / "labels.npy", LABELS)
    found, classes = read(tmp_path / "a.npy")
    assert np.array_equal(found, IMAGES)
    assert classes is None
    assert read_labels(tmp_path / "labels.npy").tolist() == LABELS.tolist()


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_an_idx_file_and_the_labels_beside_it(tmp_path, ending):
    pack = gzip.compress if ending else bytes
    images, labels = (tmp_path / f"t10k-{name}-ubyte{ending}" for name in ("images-idx3", "labels-idx1"))
    images.write_bytes(pack(idx(IMAGES[:, 0])))
    assert read(images)[1] is None
    labels.write_bytes(pack(idx(LABELS)))
    for path in (images, tmp_path):
        found, classes = read(path)
        assert np.array_equal(found, IMAGES)
        assert classes == LABELS.tolist()
    assert read_labels(labels).tolist() == LABELS.tolist()


def test_of_several_idx_files_of_one_name_one_is_read(tmp_path):
    """A plain one before a packed one, and that with the usual name before others, whatever name the labels have."""
    for name, images in (
        ("t10k-images-idx3-ubyte", IMAGES),
        ("t10k-images.idx3-ubyte", 255 - IMAGES),
        ("T10K-images-idx3-ubyte.gz", IMAGES[:3]),
    ):
        (tmp_path / name).write_bytes(idx(images[:, 0]))
    (tmp_path / "t10k-labels.idx1-ubyte.gz").write_bytes(gzip.compress(idx(LABELS)))
    (tmp_path / "t10k-labels-idx1-ubyte").mkdir()  # as some archives have it
    for path in (tmp_path, tmp_path / "t10k-images-idx3-ubyte"):
        found, classes = read(path)
        assert np.array_equal(found, IMAGES)
        assert classes == LABELS.tolist()
    (tmp_path / "t10k-images-idx3-ubyte").unlink()
    assert np.array_equal(read(tmp_path)[0], 255 - IMAGES)


def test_labels_of_another_file_need_a_clear_order_of_the_files(tmp_path):
    save_pictures(tmp_path / "a", "{number:02d}{suffix}")
    save_pictures(tmp_path / "b", "{number}{suffix}")
    (tmp_path / "c").mkdir()
    (tmp_path / "d").mkdir()
    for number in (2, 10):
        np.savez(tmp_path / f"c/{number}.npz", images=IMAGES)
        (tmp_path / f"d/images-{number}-idx3-ubyte").write_bytes(idx(IMAGES[:, 0]))
    found = [read_images(tmp_path / name).unclear for name in "abcd"]
    pairs = (("10.png", "2.png"), ("10.npz", "2.npz"), ("images-10-idx3-ubyte", "images-2-idx3-ubyte"))
    assert found == [None, *(f"{one} is first by name, but {other} by number" for one, other in pairs)]


def test_names_of_arrays_may_have_capitals(tmp_path):
    np.savez(tmp_path / "theirs.npz", X=IMAGES, Y=LABELS)
    assert read(tmp_path / "theirs.npz")[1] == LABELS.tolist()


def test_shards_are_one_set(tmp_path):
    for first in (0, 6):
        middle = f"{first:09d}-{first + 5:09d}"
        part = slice(first, first + 6)
        np.savez(tmp_path / f"images-{middle}.npz", images=IMAGES[part], labels=LABELS[part])
        (tmp_path / "idx").mkdir(exist_ok=True)
        (tmp_path / "idx" / f"train-images-{middle}-idx3-ubyte").write_bytes(idx(IMAGES[part, 0]))
        (tmp_path / "idx" / f"train-labels-{middle}-idx1-ubyte").write_bytes(idx(LABELS[part]))
    with pytest.raises(UserError, match="images of several kinds are there"):
        read(tmp_path)
    (tmp_path / "idx").rename(tmp_path.parent / f"{tmp_path.name}_idx")
    for folder in (tmp_path, tmp_path.parent / f"{tmp_path.name}_idx"):
        found, classes = read(folder)
        assert np.array_equal(found, IMAGES)
        assert classes == LABELS.tolist()


def test_labels_in_a_text_file(tmp_path):
    for name, text in (("a.txt", "\n".join(map(str, LABELS))), ("b.csv", ",".join(map(str, LABELS)))):
        (tmp_path / name).write_text(text)
        assert read_labels(tmp_path / name).tolist() == LABELS.tolist()
    for wrong in ("one", "1.5", str(2**64)):
        (tmp_path / "a.txt").write_text(wrong)
        with pytest.raises(UserError, match=r"labels=.*a\.txt: not a text of whole numbers"):
            read_labels(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npz", b"PK\3\4 not a zip", "images=.*a.npz: "),
        ("a.npz", b"", "images=.*a.npz: not a readable .npz file"),
        ("a.npy", b"\x93NUMPY\1\0", "images=.*a.npy: not a readable .npy file"),
        ("a.npy", b"text", "images=.*a.npy: not a readable .npy file"),
        ("a.pt", b"PK", "images=.*a.pt: not a file of images that is known here; a folder of pictures, an .npz"),
        ("a-images-idx3-ubyte", idx(IMAGES[:, 0])[:-1], "images=.*: it has .* bytes, and by its header"),
        ("a.png", b"", "images=.*a.png: one picture; a folder of pictures"),
        ("a.npy", b"\x93NUMPY\1\0\x12\0{'descr': ('|u1', ", "images=.*a.npy: not a readable .npy file"),
        ("folder/a.png", b"not a picture", "images=.*a.png: not a readable picture"),
        ("folder/a.png", broken_png(), "images=.*a.png: not a readable picture .*broken PNG file"),
        ("folder/notes.txt", b"", "images=.*folder: no pictures there"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path, name, content, message):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as raised:
        read(path.parent if name.startswith("folder") else path)
    assert "\n" not in str(raised.value)


def test_an_npz_file_without_images_names_what_it_has(tmp_path):
    np.savez(tmp_path / "a.npz", first=IMAGES, second=IMAGES)
    with pytest.raises(UserError, match=r"it has first \[12, 1, 28, 28\], second .*; call one of them images"):
        read(tmp_path / "a.npz")
    with pytest.raises(UserError, match=r"labels=.*; call one of them labels"):
        read_labels(tmp_path / "a.npz")


def test_an_npz_file_of_pickles_is_not_opened(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.array([{"a": 1}], dtype=object))
    with pytest.raises(UserError, match=r"not a readable \.npz file of numbers"):
        read(tmp_path / "a.npz")
