"""Which checkpoint is the best: what is compared, and with what."""

import json
import math
from types import SimpleNamespace

import pytest
from lightning.pytorch.callbacks import EarlyStopping
from tiny_runs import change_best_score
from tiny_runs import last_checkpoint as last

from gan.callbacks import checkpoints
from gan.checkpoint_files import write_checkpoint
from gan.data import Digits, MNISTDataModule
from gan.metrics import ImageMeasures

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("scores", "best"), [((math.inf, math.nan), 2), ((math.inf, 3.0, math.nan, 4.0), 2)])
def test_the_newest_is_the_best_while_the_monitored_value_is_not_finite(run, tmp_path, monkeypatch, scores, best):
    left = list(scores)
    monkeypatch.setattr(ImageMeasures, "compute", lambda self, **options: {"fid": left.pop(0)} if left else {})
    run(f"trainer.max_epochs={len(scores)}")
    written = json.loads((tmp_path / "run/checkpoints/best.json").read_text())
    assert written["epoch"] == best
    assert (tmp_path / "run/checkpoints/best.ckpt").is_file()


def test_a_run_whose_folder_was_moved_keeps_its_best_checkpoint(run, tmp_path):
    run()
    best = (tmp_path / "run" / "checkpoints" / "best.ckpt").read_bytes()
    change_best_score(tmp_path / "run", -1.0)  # no epoch will be better
    (tmp_path / "run").rename(tmp_path / "moved")
    run("ckpt_path=auto", "trainer.max_epochs=2", folder="moved")
    assert last(tmp_path / "moved")["images_seen"] == 128
    assert (tmp_path / "moved" / "checkpoints" / "best.ckpt").read_bytes() == best


def test_a_run_that_goes_back_keeps_a_best_checkpoint_that_came_later(run, tmp_path, monkeypatch):
    """A run in a new folder, which has no such checkpoint, does not take it there."""
    scores = iter([5.0, 3.0, 4.0, 4.5])
    monkeypatch.setattr(ImageMeasures, "compute", lambda self, **floor: {} if floor else {"fid": next(scores)})
    run("trainer.max_epochs=2", "callbacks.checkpoints.every_n_epochs=1")
    first = f"ckpt_path='{tmp_path / 'run' / 'checkpoints' / 'epoch_0001.ckpt'}'"
    best = {}
    for folder in ("run", "new"):
        run(first, "trainer.max_epochs=2", folder=folder)
        best[folder] = json.loads((tmp_path / folder / "checkpoints" / "best.json").read_text())["best_score"]
    assert best == {"run": 3.0, "new": 4.5}


def test_a_run_that_resumes_with_another_monitored_value_compares_it_with_itself(run, begun, tmp_path):
    measures, name = "metrics.measures=[fid,class_balance]", "val/class_balance"
    _, metrics = run(measures, "ckpt_path=auto", f"callbacks.checkpoints.monitor={name}", "trainer.max_epochs=2")
    best = json.loads((tmp_path / "run" / "checkpoints" / "best.json").read_text())
    assert (best["monitor"], best["epoch"]) == (name, 2)
    assert best["best_score"] == pytest.approx(metrics[name])


def test_measures_of_other_data_are_not_compared(run, begun, caplog):
    caplog.set_level("INFO", "gan")
    change_best_score(begun, -1.0)
    older = {**last(begun), "data": "mnist"}
    del older["callbacks"]["RunCheckpoints"]["validation"]
    write_checkpoint(begun / "checkpoints" / "last.ckpt", older)
    run("ckpt_path=auto", "trainer.max_epochs=2")
    newest, best = (json.loads((begun / "checkpoints" / f"{name}.json").read_text()) for name in ("last", "best"))
    assert best["images_seen"] == newest["images_seen"]
    assert "changed     data=digits, was mnist" in caplog.text


OTHER_IMAGES = (
    "data.val_size=40",
    "trainer.limit_val_batches=2",
    "trainer.limit_val_batches=1.0",
    "++data.val_batch_size=50",
)


@pytest.mark.parametrize("setting", [*OTHER_IMAGES, "trainer.limit_val_batches=0"])
def test_measures_of_other_images_are_not_compared_and_a_resume_without_any_changes_nothing(
    run, begun, caplog, setting
):
    caplog.set_level("INFO", "gan")
    change_best_score(begun, -1.0)
    run("ckpt_path=auto", "trainer.max_epochs=2", setting)
    score = json.loads((begun / "checkpoints" / "last.json").read_text())["best_score"]
    assert (score == -1.0) is (setting not in OTHER_IMAGES)
    assert ("measures of validation are not compared" in caplog.text) is (score != -1.0)
    run("ckpt_path=auto", "trainer.max_epochs=3")
    score = json.loads((begun / "checkpoints" / "last.json").read_text())["best_score"]
    assert (score == -1.0) is (setting not in OTHER_IMAGES)


@pytest.mark.parametrize(("data", "kept"), [("digits", True), ("mnist", False)])
def test_early_stopping_does_not_compare_with_measures_of_other_data(data, kept):
    stop = EarlyStopping("val/fid_mnist")
    (digits := MNISTDataModule(Digits(), val_size=10)).setup()
    trainer = SimpleNamespace(
        datamodule=digits, early_stopping_callbacks=[stop], limit_val_batches=1.0, world_size=1, is_global_zero=True
    )
    checkpoint = {"data": data, "callbacks": {stop.state_key: stop.state_dict(), "Timer": {}}}
    checkpoints.RunCheckpoints("a", "val/fid_mnist").on_load_checkpoint(trainer, None, checkpoint)
    assert checkpoint["callbacks"].keys() == {"Timer", *([stop.state_key] if kept else [])}
