"""The embedded digits in place of files that are missing, and when they are not taken."""

from pathlib import Path

import pytest
from miniature import made, ready

from gan.data import MNIST, DataNotFoundError, Digits, MNISTDataModule, StackedMNIST
from gan.errors import UserError


@pytest.mark.parametrize("steps", [["prepare_data", "prepare_data", "setup"], ["setup"]], ids=["rank 0", "others"])
def test_fallback_takes_the_embedded_digits(tmp_path, steps, caplog):
    datamodule = made(tmp_path, offline_fallback=True, val_size=5000)
    for step in steps:
        getattr(datamodule, step)()
    boxes = [record.getMessage() for record in caplog.records if "NOT TRAINING ON MNIST" in record.getMessage()]
    assert [box.count("\n") > 3 for box in boxes] == [True]
    assert datamodule.source.name == "digits"
    assert (len(datamodule.train_images), len(datamodule.val_images), len(datamodule.test_images)) == (1200, 300, 297)


def test_fallback_is_not_taken_where_files_are(data_dir):
    assert ready(data_dir, offline_fallback=True).source.name == "mnist"


@pytest.mark.parametrize("name", ["mnist.npz", "mnist_train.csv", "train-images-idx3-ubyte"])
@pytest.mark.parametrize("step", ["prepare_data", "setup"])
def test_fallback_is_not_taken_where_files_of_another_form_are(tmp_path, name, step):
    (tmp_path / name).touch()
    with pytest.raises(UserError, match=rf"^data\.dir=.*: no MNIST files there \(but {name}\), and .*$"):
        getattr(made(tmp_path, offline_fallback=True), step)()


def test_a_folder_that_was_given_must_exist(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for given, words in {
        tmp_path / "mistyped": "there is no folder",
        tmp_path / "file": "is a file, not a folder",
        tmp_path / "file" / "below": "there is no folder",
        tmp_path / ("long" * 100): "cannot be read",
        "/dev/null": "is a file, not a folder",
        "": "the path of a folder",
    }.items():
        with pytest.raises(UserError, match=rf"^data\.dir={given}: .*{words}.*$"):
            MNISTDataModule(dir=str(given), offline_fallback=True)
    monkeypatch.chdir(tmp_path)
    for default in ("data", str(tmp_path / "data")):  # as it is written, and as a run records it
        MNISTDataModule(dir=default, download=False, offline_fallback=True).prepare_data()
    MNISTDataModule(Digits(), dir="mistyped").prepare_data()


def test_a_folder_that_may_not_be_read_is_told(tmp_path, monkeypatch):
    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(UserError, match=r"^data\.dir: .* cannot be read \(Permission denied\)$"):
        made(tmp_path, offline_fallback=True).setup()


def test_without_fallback_the_run_ends(tmp_path):
    with pytest.raises(DataNotFoundError, match="data=digits"):
        made(tmp_path).prepare_data()
    with pytest.raises(DataNotFoundError, match="data=digits"):
        made(tmp_path).setup()


def test_three_channels_have_no_fallback(tmp_path):
    with pytest.raises(DataNotFoundError):
        made(tmp_path, source=StackedMNIST(), offline_fallback=True).prepare_data()


@pytest.mark.parametrize("name", ["letters-images-idx3-ubyte", "mnist.npz"])
def test_nothing_is_downloaded_beside_other_data(tmp_path, name):
    """A download would be trained on in place of what the folder was named for."""
    (tmp_path / name).touch()
    with pytest.raises(UserError, match=rf"\(but {name}\), and nothing is downloaded beside other data; put "):
        MNISTDataModule(MNIST(mirrors=[]), dir=str(tmp_path)).prepare_data()
