"""When a run's checkpoints are written, what they say, and what becomes of a run that cannot write them."""

import json
import logging
import os
import shutil
import signal
from types import SimpleNamespace

import pytest
import torch
from tiny_runs import last_checkpoint as last
from tiny_runs import same_weights

from gan.callbacks import checkpoints
from gan.checkpoint_files import write_checkpoint
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
    run("trainer.limit_train_batches=7", "callbacks.checkpoints.every_n_minutes=3")
    assert seen == [48, 96, 112]
    seen.clear()
    run("trainer.limit_train_batches=7", "callbacks.checkpoints.every_n_minutes=null", folder="b")
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


def test_a_run_whose_folder_was_moved_keeps_its_best_checkpoint(run, tmp_path):
    run()
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=True)
    (state,) = (state for name, state in content["callbacks"].items() if name.startswith("RunCheckpoints"))
    state["best_score"] = -1.0  # no epoch will be better
    write_checkpoint(path, content)
    best = path.with_name("best.ckpt").read_bytes()
    (tmp_path / "run").rename(tmp_path / "moved")
    run("ckpt_path=auto", "trainer.max_epochs=2", folder="moved")
    assert last(tmp_path / "moved")["images_seen"] == 128
    assert (tmp_path / "moved" / "checkpoints" / "best.ckpt").read_bytes() == best


def test_a_run_that_goes_back_describes_what_it_writes(run, tmp_path, at):
    run("trainer.max_epochs=2", "callbacks.checkpoints.every_n_epochs=1")
    folder = tmp_path / "run" / "checkpoints"
    at(5, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Stopped):
        run("trainer.max_epochs=2", f"ckpt_path='{folder / 'epoch_0001.ckpt'}'")
    assert last(tmp_path / "run")["images_seen"] == json.loads((folder / "last.json").read_text())["images_seen"] == 96


def test_a_run_that_resumes_with_another_monitored_value_compares_it_with_itself(run, tmp_path):
    measures, name = "metrics.measures=[fid,class_balance]", "val/class_balance"
    run(measures)
    _, metrics = run(measures, "ckpt_path=auto", f"callbacks.checkpoints.monitor={name}", "trainer.max_epochs=2")
    best = json.loads((tmp_path / "run" / "checkpoints" / "best.json").read_text())
    assert (best["monitor"], best["epoch"]) == (name, 2)
    assert best["best_score"] == pytest.approx(metrics[name])


def test_the_newest_epochs_are_kept_by_their_number(run, tmp_path):
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    for name in ("epoch_9995", "epoch_10000", "epoch_mine"):
        (folder / f"{name}.ckpt").touch()
    callback = checkpoints.RunCheckpoints(str(folder), "val/fid_mnist", keep_last=1)
    callback.last.touch()
    callback._saved = {"images_seen": 1, "copies": []}
    callback._finish_writing(SimpleNamespace(is_global_zero=True))
    assert {path.stem for path in folder.glob("epoch_*.ckpt")} == {"epoch_10000", "epoch_mine"}


def test_a_full_disk_is_one_line_and_leaves_the_last_checkpoint(run, tmp_path, monkeypatch, at):
    run()
    kept = last(tmp_path / "run")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    at(5, lambda: monkeypatch.setattr("gan.atomic_write.os.fsync", full))
    with pytest.raises(UserError, match=r"last\.ckpt: No space left on device; .*64 images"):
        run("trainer.max_epochs=2", "ckpt_path=auto")
    assert same_weights(kept, last(tmp_path / "run"))


def test_too_little_space_is_seen_before_training(run, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(UserError, match=r"has 1,000 bytes free, and the checkpoints need \d"):
        run()
    assert not (tmp_path / "run" / "metrics.csv").exists()


def test_metrics_that_cannot_be_written_cost_one_warning(run, tmp_path, at, caplog):
    at(1, lambda: (shutil.move(tmp_path / "run/metrics.csv", tmp_path), (tmp_path / "run/metrics.csv").mkdir()))
    caplog.set_level(logging.WARNING, "gan")
    module, _ = run()
    assert module.images_seen == 64
    assert len([line for line in caplog.messages if "CSVMetrics cannot be written" in line]) == 1


def test_a_folder_that_is_in_use_is_refused(run, tmp_path, at):
    refused = []

    def start_another():
        with pytest.raises(UserError, match="another process trains there") as raised:
            run("ckpt_path=auto")
        refused.append(raised)

    at(3, start_another)
    run("trainer.max_epochs=2", "callbacks.checkpoints.every_n_minutes=1e-9")
    assert refused
    run("trainer.max_epochs=3", "ckpt_path=auto", "callbacks.budget=null")
