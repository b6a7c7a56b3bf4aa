"""When a run's checkpoints are written, what they say, and what becomes of a run that cannot write them."""

import json
import os
import signal
from types import SimpleNamespace

import lightning
import pytest
import torch
from tiny_runs import NARROW, TINY, same_weights
from tiny_runs import last_checkpoint as last
from torch.utils.data import DataLoader, TensorDataset

from gan.callbacks import checkpoints
from gan.config import compose, instantiate
from gan.errors import Stopped, UserError
from gan.module import GAN

pytestmark = pytest.mark.slow


def test_checkpoints_come_by_time_inside_an_epoch(run, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(checkpoints, "time", SimpleNamespace(monotonic=lambda: 60.0 * len(written)))
    step, save = GAN.training_step, checkpoints.RunCheckpoints._save
    monkeypatch.setattr(GAN, "training_step", lambda *given: (written.append(None), step(*given))[1])
    seen = []
    monkeypatch.setattr(
        checkpoints.RunCheckpoints,
        "_save",
        lambda self, trainer, module, **options: (
            seen.append(module.images_seen),
            save(self, trainer, module, **options),
        ),
    )
    quick = ("~callbacks.measures", "trainer.limit_train_batches=7")
    run(*quick, "callbacks.checkpoints.every_n_minutes=3")
    assert seen == [48, 96, 112]
    seen.clear()
    run(*quick, "callbacks.checkpoints.every_n_minutes=null", folder="b")
    assert seen == [112]


def test_a_checkpoint_has_only_numbers_of_its_own_weights(run, tmp_path):
    run("+trainer.val_check_interval=3", "trainer.limit_train_batches=7")
    kept = {name: json.loads((tmp_path / f"run/checkpoints/{name}.json").read_text()) for name in ("last", "best")}
    assert kept["last"]["images_seen"] == 112
    assert not [name for name in kept["last"]["metrics"] if name.startswith("val/")]
    assert kept["best"]["images_seen"] in (48, 96)
    assert kept["best"]["metrics"]["val/fid_mnist"] == kept["best"]["best_score"]
    assert (
        torch.load(tmp_path / "run/checkpoints/best.ckpt", weights_only=True)["images_seen"]
        == (kept["best"]["images_seen"])
    )


@pytest.mark.parametrize("settings", [[], ["trainer.limit_val_batches=0"]], ids=["monitored", "unmonitored"])
def test_a_run_killed_between_a_checkpoint_and_its_copies_completes_them(run, tmp_path, monkeypatch, settings):
    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write_json", kill)
        with pytest.raises(Killed):
            run(*settings)
    folder = tmp_path / "run" / "checkpoints"
    assert not (folder / "last.json").exists()
    run("ckpt_path=auto", *settings)
    last = json.loads((folder / "last.json").read_text())
    assert last["images_seen"] == 64
    assert settings or json.loads((folder / "best.json").read_text()) == last
    assert (tmp_path / "run" / "summary.json").is_file()


def test_a_run_that_goes_back_describes_what_it_writes(run, tmp_path, at):
    quick = ("~callbacks.measures", "trainer.max_epochs=2")
    run(*quick, "callbacks.checkpoints.every_n_epochs=1")
    folder = tmp_path / "run" / "checkpoints"
    at(5, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Stopped):
        run(*quick, f"ckpt_path='{folder / 'epoch_0001.ckpt'}'")
    assert last(tmp_path / "run")["images_seen"] == json.loads((folder / "last.json").read_text())["images_seen"] == 96


def test_epoch_checkpoints_are_kept_to_the_last(run, tmp_path):
    every = ("callbacks.checkpoints.every_n_epochs=1", "callbacks.checkpoints.keep_last=2")
    run("trainer.max_epochs=5", "trainer.limit_train_batches=1", "callbacks.measures.measures=[fid]", *every)
    folder = tmp_path / "run" / "checkpoints"
    names = {path.name for path in folder.iterdir()}
    stems = ("best", "last", "epoch_0004", "epoch_0005")
    assert names == {f"{stem}{suffix}" for stem in stems for suffix in (".ckpt", ".json")}


def test_the_newest_epochs_are_kept_by_their_number(run, tmp_path):
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    for name in ("epoch_9995", "epoch_10000", "epoch_mine"):
        for ending in ("ckpt", "json"):
            (folder / f"{name}.{ending}").touch()
    callback = checkpoints.RunCheckpoints(str(folder), "val/fid_mnist", keep_last=1)
    callback.last.touch()
    callback._saved = {"images_seen": 1, "copies": []}
    callback._finish_writing(SimpleNamespace(is_global_zero=True))
    assert {path.stem for path in folder.glob("epoch_*.ckpt")} == {"epoch_10000", "epoch_mine"}


def full(*_):
    raise OSError(28, "No space left on device")


def test_a_full_disk_is_one_line_and_leaves_the_last_checkpoint(run, begun, tmp_path, monkeypatch, at):
    kept = last(tmp_path / "run")
    at(5, lambda: monkeypatch.setattr("gan.atomic_write.os.fsync", full))
    with pytest.raises(UserError, match=r"last\.ckpt: No space left on device; .*64 images"):
        run("trainer.max_epochs=2", "ckpt_path=auto")
    assert same_weights(kept, last(tmp_path / "run"))


def test_a_disk_that_is_full_before_the_copies_leaves_the_last_checkpoint(run, monkeypatch):
    monkeypatch.setattr(checkpoints.shutil, "copyfileobj", full)
    with pytest.raises(UserError, match=r"best\.ckpt: No space left on device; .*last\.ckpt is whole, of 64 images"):
        run("~callbacks.measures")


def test_too_little_space_is_seen_before_training(run, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(UserError, match=r"has 1,000 bytes free, and the checkpoints need \d"):
        run()
    assert not (tmp_path / "run" / "metrics.csv").exists()


def test_a_folder_that_may_not_be_written_is_seen_before_training(run, begun, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: path != begun / "checkpoints")
    with pytest.raises(UserError, match=r"checkpoints: Permission denied; no checkpoint could be written"):
        run("ckpt_path=auto", "trainer.max_epochs=2")


def test_weights_that_are_not_finite_are_not_written(run, begun, tmp_path):
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    before = last.read_bytes()
    with pytest.raises(UserError, match="diverged"):
        run("ckpt_path=auto", "trainer.max_epochs=2", "model.instance_noise=1e38")
    assert last.read_bytes() == before


def test_only_its_own_old_checkpoints_are_deleted(run, tmp_path):
    checkpoints = tmp_path / "run" / "checkpoints"
    checkpoints.mkdir(parents=True)
    mine = checkpoints / "epoch_0000.ckpt"  # such as a ModelCheckpoint of the user's writes
    own = "callbacks.checkpoints.every_n_epochs=1"
    run("~callbacks.measures", own, "callbacks.checkpoints.keep_last=1")
    mine.write_bytes(b"mine")
    run("~callbacks.measures", own, "callbacks.checkpoints.keep_last=1", "trainer.max_epochs=2", "ckpt_path=auto")
    assert mine.read_bytes() == b"mine"
    assert {path.name for path in checkpoints.glob("epoch_*.ckpt")} == {mine.name, "epoch_0002.ckpt"}


def test_a_data_module_of_ones_own_needs_no_source(tmp_path):
    class Blank(lightning.LightningDataModule):
        batch_size = 16

        def train_dataloader(self):
            images, labels = torch.zeros(16, 1, 28, 28, dtype=torch.uint8), torch.zeros(16, dtype=torch.int64)
            return DataLoader(TensorDataset(images, labels), batch_size=16)

    module = instantiate(compose("train", [*TINY, *NARROW]).model)
    callback = checkpoints.RunCheckpoints(str(tmp_path), "val/fid_mnist")
    options = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    lightning.Trainer(accelerator="cpu", max_epochs=1, callbacks=[callback], **options).fit(module, datamodule=Blank())
    assert callback.last.is_file()
