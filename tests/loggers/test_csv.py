import csv
import resource
from types import SimpleNamespace

import pytest
from lightning.pytorch.callbacks import ModelCheckpoint

from gan.loggers import CSVMetrics, read_rows


def test_rows_are_on_the_disk_at_once_and_columns_grow(tmp_path):
    logger = CSVMetrics(tmp_path / "run" / "metrics.csv")
    logger.log_metrics({"images_seen": 64.0, "train/loss": 0.5}, step=1)
    assert read_rows(logger.path) == [{"step": "1", "epoch": "", "images_seen": "64", "train/loss": "0.5"}]
    logger.log_metrics({"images_seen": 128.0, "val/fid_mnist": 3.0, "epoch": 0.0}, step=2)
    with logger.path.open() as file:
        assert next(csv.reader(file)) == ["step", "epoch", "images_seen", "train/loss", "val/fid_mnist"]
    assert read_rows(logger.path)[0]["val/fid_mnist"] == ""
    assert read_rows(logger.path)[1]["val/fid_mnist"] == "3.0"


def test_without_a_module_that_counts_images_a_row_has_none(tmp_path):
    logger = CSVMetrics(tmp_path / "metrics.csv")
    logger.log_metrics({"loss": 0.5}, step=3)
    assert read_rows(logger.path) == [{"step": "3", "epoch": "", "images_seen": "", "loss": "0.5"}]


def resume(path, images_seen):
    CSVMetrics(path).follow(SimpleNamespace(images_seen=images_seen))


def test_a_resumed_run_keeps_what_was_logged_up_to_its_checkpoint(tmp_path):
    logger = CSVMetrics(tmp_path / "metrics.csv")
    for images in (10, 20, 30):
        logger.log_metrics({"images_seen": images, "loss": 1.0}, step=images)
        logger.log_metrics({"val": 2.0}, step=images)
    resume(logger.path, 20)
    assert [row["step"] for row in read_rows(logger.path)] == ["10", "10", "20", "20"]
    resume(logger.path, 0)
    assert read_rows(logger.path) == []


@pytest.mark.parametrize("text", ["epoch,loss\n1,2\n", "step,epoch,images_seen,loss\n1,1,0,2\n1,1,many,2\n"])
def test_a_new_run_starts_the_file_afresh_whatever_it_has(tmp_path, text):
    (tmp_path / "metrics.csv").write_text(text)
    resume(tmp_path / "metrics.csv", 0)
    assert (tmp_path / "metrics.csv").read_text().splitlines() == ["step,epoch,images_seen"]


def test_a_resumed_run_reads_a_file_that_a_spreadsheet_or_a_hand_has_changed(tmp_path, caplog):
    path = tmp_path / "metrics.csv"
    rows = [b"1,0,10.0,0.5", b"x,y,z", b"2,0,20.0,text\xff", b"3,0,20.0,0.4,7", b"4,0", b"5,0,nan,1", b"6,0,30.0,1"]
    path.write_bytes(b"\n".join([b"\xef\xbb\xbfstep,epoch,images_seen,loss", *rows, b"7,0,40.0,1", b""]))
    resume(path, 30)
    kept = ["1,0,10.0,0.5", "2,0,20.0,text\ufffd", "4,0,,", "6,0,30.0,1"]
    assert path.read_text(encoding="utf-8").splitlines() == ["step,epoch,images_seen,loss", *kept]
    assert caplog.messages == [f"{path}: 3 rows are deleted, which do not say how many images were seen"]


def test_a_row_cut_off_by_a_kill_is_ignored(tmp_path):
    logger = CSVMetrics(tmp_path / "metrics.csv")
    logger.log_metrics({"images_seen": 10, "loss": 1.0}, step=1)
    with logger.path.open("a") as file:
        file.write("2,,2")
    resume(logger.path, 10)
    assert [row["step"] for row in read_rows(logger.path)] == ["1"]


def test_a_row_cut_off_by_a_full_disk_is_left_out(tmp_path):
    logger = CSVMetrics(tmp_path / "metrics.csv")
    logger.log_metrics({"loss": 1.0}, step=1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (logger.path.stat().st_size + 2, limits[1]))
    try:
        logger.log_metrics({"loss": 2.0}, step=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    logger.log_metrics({"loss": 3.0}, step=3)
    assert [(row["step"], row["loss"]) for row in read_rows(logger.path)] == [("1", "1.0"), ("3", "3.0")]


def test_a_resumed_run_leaves_the_file_of_an_uninterrupted_one(tmp_path, fit):
    def run(folder, epochs, ckpt_path=None):
        checkpoints = ModelCheckpoint(folder / "checkpoints", filename="{epoch}", save_top_k=-1)
        logger = CSVMetrics(folder / "metrics.csv")
        fit(folder, checkpoints, epochs=epochs, loggers=[logger], ckpt_path=ckpt_path)
        return logger.path.read_text()

    whole = run(tmp_path / "whole", epochs=3)
    run(tmp_path / "resumed", epochs=2)
    assert run(tmp_path / "resumed", epochs=3, ckpt_path=tmp_path / "resumed/checkpoints/epoch=0.ckpt") == whole
    assert run(tmp_path / "resumed", epochs=3) == whole, "a new run in the folder starts the file afresh"


def test_every_row_counts_images(tmp_path, fit):
    logger = CSVMetrics(tmp_path / "metrics.csv")
    fit(tmp_path, loggers=[logger], epochs=2)
    rows = read_rows(logger.path)
    assert [row["images_seen"] for row in rows if row["val/fid_mnist"]] == ["20", "40"]
    assert all(row["images_seen"] for row in rows)


def test_the_logger_composes_with_others_and_makes_no_folder_of_its_own(tmp_path, fit):
    first, second = CSVMetrics(tmp_path / "a.csv"), CSVMetrics(tmp_path / "b.csv")
    fit(tmp_path, loggers=[first, second])
    assert first.path.read_text() == second.path.read_text() != ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.csv"]
