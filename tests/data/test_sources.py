"""Sources: where files may lie, what a download accepts, what StackedMNIST is made of."""

import hashlib

import pytest
import torch
from miniature import numbers, write_mnist

from gan.data import KMNIST, MNIST, DataNotFoundError, FashionMNIST, MNISTDataModule, StackedMNIST, idx_source
from gan.errors import UserError
from gan.idx_files import ALL_NAMES


def published(monkeypatch, sums):
    """Takes these checksums for those that torchvision names."""
    files = [f"{name}.gz" for name in ALL_NAMES]
    monkeypatch.setattr(MNIST.published, "resources", list(zip(files, sums, strict=True)))


def at(source, folder, download=False):
    source.dir, source.download = folder, download
    return source


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("inside", ["", "MNIST/raw", "mnist/raw", "raw"])
@pytest.mark.parametrize("renamed", [str, str.upper, lambda name: name.replace("-idx", ".idx")])
def test_files_are_found(tmp_path, packed, inside, renamed):
    write_mnist(tmp_path / inside, packed=packed)
    for path in (tmp_path / inside).iterdir():
        path.rename(path.with_name(renamed(path.name)))
    source = at(MNIST(), tmp_path)
    source.prepare()
    images, labels = source.train()
    assert (images.shape, images.dtype, labels.dtype) == ((200, 1, 28, 28), torch.uint8, torch.int64)
    assert numbers(images) == list(range(200))
    assert labels.tolist() == [i % 10 for i in range(200)]
    assert source.test()[0].shape == (60, 1, 28, 28)


@pytest.mark.parametrize(("source", "layout"), [(FashionMNIST, "FashionMNIST"), (KMNIST, "KMNIST")])
def test_other_data_sets_have_their_own_folder(tmp_path, source, layout):
    write_mnist(tmp_path / "MNIST" / "raw")
    with pytest.raises(DataNotFoundError, match=f"no {layout} files there"):
        at(source(), tmp_path).train()
    write_mnist(tmp_path / layout / "raw", train=50)
    assert len(at(source(), tmp_path).train()[0]) == 50


@pytest.mark.parametrize("source", [FashionMNIST, KMNIST])
def test_mnist_does_not_pass_for_another_data_set(tmp_path, monkeypatch, source):
    write_mnist(tmp_path)
    assert len(at(source(), tmp_path).train()[0]) == 200
    labels = (tmp_path / "train-labels-idx1-ubyte").read_bytes()
    monkeypatch.setattr(idx_source, "MNIST_LABELS_MD5", hashlib.md5(labels).hexdigest())
    with pytest.raises(UserError, match=f"no {source.__name__} files there"):
        at(source(), tmp_path).train()
    assert len(at(MNIST(), tmp_path).train()[0]) == 200


@pytest.mark.parametrize("call", ["prepare", "train"])
def test_missing_files_are_told_in_one_line(tmp_path, call):
    with pytest.raises(DataNotFoundError) as error:
        getattr(at(MNIST(), tmp_path), call)()
    text = str(error.value)
    assert text.startswith(f"data.dir={tmp_path}: no MNIST files there, and data.download=false; put ")
    assert "\n" not in text
    assert all(
        part in text for part in (str(tmp_path / "MNIST" / "raw"), "data=digits", "data.download=false", *ALL_NAMES)
    )


@pytest.mark.parametrize("call", ["prepare", "train"])
@pytest.mark.parametrize("inside", ["", "raw", "MNIST/raw"])
def test_only_the_missing_ones_of_four_files_are_asked_for(tmp_path, call, inside):
    write_mnist(tmp_path / inside)
    (tmp_path / inside / ALL_NAMES[3]).unlink()
    with pytest.raises(UserError) as error:
        getattr(at(MNIST(), tmp_path), call)()
    asked = f"data.download=false; put {ALL_NAMES[3]}, plain or .gz, into {tmp_path / inside}, or use data=digits"
    assert asked in str(error.value)


def test_mirrors_are_a_list():
    with pytest.raises(UserError, match=r"data\.source\.mirrors=https://a\.org/: a list of base addresses, or null"):
        MNIST(mirrors="https://a.org/")
    for wrong in (-1, {"a": 1}):
        with pytest.raises(UserError, match=r"data\.source\.mirrors=.*1}?: a list of base addresses, or null"):
            MNIST(mirrors=wrong)
    with pytest.raises(UserError, match=r"data\.source\.timeout=fast: a number, above 0"):
        MNIST(timeout="fast")


def test_download_takes_the_first_good_mirror(tmp_path, mirror, monkeypatch):
    address, _, sums = mirror
    published(monkeypatch, sums)
    source = at(MNIST(mirrors=[f"{address}/missing/", f"{address}/"]), tmp_path / "data", download=True)
    source.prepare()
    assert numbers(source.train()[0]) == list(range(200))
    folder = tmp_path / "data" / "MNIST" / "raw"
    assert sorted(path.name for path in folder.iterdir()) == sorted(ALL_NAMES)

    stamps = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    at(MNIST(mirrors=["http://127.0.0.1:9/"]), tmp_path / "data", download=True).prepare()
    assert stamps == {path: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_only_what_is_missing_is_downloaded(tmp_path, mirror, monkeypatch):
    address, folder, sums = mirror
    published(monkeypatch, sums)
    raw = tmp_path / "data" / "MNIST" / "raw"
    write_mnist(raw)
    (raw / ALL_NAMES[2]).unlink()
    (folder / f"{ALL_NAMES[0]}.gz").unlink()
    source = at(MNIST(mirrors=[address]), tmp_path / "data", download=True)
    source.prepare()
    assert len(source.test()[0]) == 60


@pytest.mark.parametrize("folder", [".", "raw", "mnist/raw"])
def test_half_a_set_put_there_by_hand_is_not_passed_over(tmp_path, mirror, monkeypatch, folder):
    address, _, sums = mirror
    published(monkeypatch, sums)
    write_mnist(tmp_path / "drawn" / folder)
    for name in ALL_NAMES[2:]:
        (tmp_path / "drawn" / folder / name).unlink()
    with pytest.raises(UserError, match=f"{', '.join(ALL_NAMES[2:])} are missing beside") as error:
        at(MNIST(mirrors=[address]), tmp_path / "drawn", download=True).prepare()
    assert str(error.value).startswith(f"data.dir={tmp_path / 'drawn'}: ")
    assert "\n" not in str(error.value)
    assert len(list((tmp_path / "drawn").rglob("*-ubyte*"))) == 2


def test_a_file_that_another_process_is_writing_is_no_other_data(tmp_path, mirror, monkeypatch):
    address, _, sums = mirror
    published(monkeypatch, sums)
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / f".{ALL_NAMES[0]}.{'0' * 32}").write_bytes(b"half")  # or a killed one has left
    source = at(MNIST(mirrors=[address]), tmp_path, download=True)
    source.prepare()
    assert len(source.train()[0]) == 200


def test_links_to_files_that_are_not_there_are_not_passed_over(tmp_path, mirror, monkeypatch):
    address, _, sums = mirror
    published(monkeypatch, sums)
    for name in ALL_NAMES:
        (tmp_path / name).symlink_to(tmp_path / "unmounted" / name)
    with pytest.raises(UserError, match="ubyte: can't be read"):
        at(MNIST(mirrors=[address]), tmp_path, download=True).prepare()


@pytest.mark.parametrize("damage", ["sum", "truncated", "html", "gone"])
def test_bad_download_leaves_nothing(tmp_path, mirror, monkeypatch, damage):
    address, folder, sums = mirror
    path = folder / f"{ALL_NAMES[0]}.gz"
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes({"sum": path.read_bytes(), "truncated": path.read_bytes()[:-9], "html": b"<html>"}[damage])
    if damage == "sum":
        sums = ["0" * 32, *sums[1:]]
    else:
        sums = [hashlib.md5(path.read_bytes()).hexdigest() if path.exists() else "0" * 32, *sums[1:]]
    published(monkeypatch, sums)
    with pytest.raises(DataNotFoundError, match=f"{address}/{ALL_NAMES[0]}") as error:
        at(MNIST(mirrors=[address]), tmp_path / "data", download=True).prepare()
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "data").rglob("*-ubyte*"))


def test_a_folder_that_cannot_be_written_is_told(tmp_path, mirror, monkeypatch):
    address, _, sums = mirror
    published(monkeypatch, sums)
    (tmp_path / "MNIST").mkdir()
    (tmp_path / "MNIST" / "raw").write_text("")
    with pytest.raises(UserError, match=r"data\.dir: can't write .*MNIST/raw"):
        at(MNIST(mirrors=[address]), tmp_path, download=True).prepare()


def test_stacked_digits_stay_in_their_split(data_dir):
    stacked = MNISTDataModule(StackedMNIST(num_images=300), str(data_dir), download=False, val_size=50, batch_size=10)
    plain = MNISTDataModule(MNIST(), str(data_dir), download=False, val_size=50, batch_size=10)
    for datamodule in (stacked, plain):
        datamodule.prepare_data()
        datamodule.setup()
    for split, count in (("train", 300), ("val", 50), ("test", 60)):
        images, labels = getattr(stacked, f"{split}_images"), getattr(stacked, f"{split}_labels")
        digits, known = getattr(plain, f"{split}_images"), set(numbers(getattr(plain, f"{split}_images")))
        assert images.shape == (count, 3, 28, 28)
        channels = [numbers(images[:, channel : channel + 1]) for channel in range(3)]
        assert len(digits) == len(known)
        assert set().union(*channels) <= known
        # The number of an image ends in its label here.
        expected = [100 * (a % 10) + 10 * (b % 10) + c % 10 for a, b, c in zip(*channels, strict=True)]
        assert labels.tolist() == expected
    assert stacked.source.channels == 3
