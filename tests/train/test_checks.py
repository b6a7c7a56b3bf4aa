"""What is refused before training starts, and before anything is written."""

import re

import pytest

from gan.errors import UserError

LIGHTNINGS = "lightning.pytorch.callbacks"


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["callbacks.checkpoints=null"], "callbacks.checkpoints=null: a run without checkpoints could"),
        (["callbacks.budget=5"], "callbacks.budget=5: {_target_: ..., and what that takes}, or null"),
        (["logger.csv=5"], "logger.csv=5: {_target_"),
        (["model.num_classes=5"], "model.num_classes=5: digits has 10 classes"),
        (["model.image_channels=3"], "model.image_channels=3: the images of digits have 1"),
        (["trainer.limit_train_batches=0.001"], "trainer.limit_train_batches=0.001: less than one of the 75 batches"),
        (["trainer.limit_val_batches=0.2"], "trainer.limit_val_batches=0.2: less than one of the 3 batches"),
        (["+trainer.val_check_interval=7"], "trainer.val_check_interval=7: an epoch has 4 batches"),
        (["data.batch_size=1"], "data.batch_size=1: 2 or more with this model"),
        ([f"+callbacks.own={{_target_: {LIGHTNINGS}.BatchSizeFinder}}"], "callbacks: BatchSizeFinder does not work"),
        (["trainer._target_=torch.nn.Identity"], "trainer._target_=torch.nn.Identity: not a Trainer of lightning"),
        (["model._target_=torch.nn.Identity"], "model._target_=torch.nn.Identity: not a GAN of gan"),
        (["data._target_=torch.nn.Identity"], "data._target_=torch.nn.Identity: not a MNISTDataModule of gan"),
        (
            [f"+callbacks.own={{_target_: {LIGHTNINGS}.StochasticWeightAveraging, swa_lrs: 0.1}}"],
            "callbacks: StochasticWeightAveraging does not work here; model.ema_half_life",
        ),
        (
            [f"+callbacks.own={{_target_: {LIGHTNINGS}.OnExceptionCheckpoint, dirpath: safe}}"],
            "callbacks: OnExceptionCheckpoint does not work here; a run that stops has saved last.ckpt",
        ),
        (
            [f"+callbacks.own={{_target_: {LIGHTNINGS}.Timer, duration: 01:00:00:00}}", "trainer.max_time=00:00:00:01"],
            "trainer.max_time=00:00:00:01: only without a Timer among the callbacks",
        ),
        (["+logger.own={_target_: torch.nn.Identity}"], "logger.own._target_=torch.nn.Identity: not a Logger"),
        (
            [f"+callbacks.own={{_target_: {LIGHTNINGS}.EarlyStopping, monitor: val/fid}}"],
            "callbacks: EarlyStopping has monitor=val/fid; validation measures val/fid_mnist, val/is_mnist, ",
        ),
        (
            [
                f"+callbacks.own={{_target_: {LIGHTNINGS}.EarlyStopping, monitor: val/fid_mnist}}",
                "trainer.limit_val_batches=0",
            ],
            "callbacks: EarlyStopping has monitor=val/fid_mnist; validation measures nothing",
        ),
    ],
)
def test_a_setting_that_cannot_work_is_refused_before_anything_is_written(run, tmp_path, overrides, line):
    with pytest.raises(UserError, match=f"^{re.escape(line)}") as raised:
        run(*overrides)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("monitor", "line"),
    [
        ("val/kid_mnist", "callbacks: EarlyStopping has monitor=val/kid_mnist; validation measures val/fid_mnist"),
        ("train/nothing", "callbacks: Early stopping conditioned on metric `train/nothing` which is not available."),
    ],
)
def test_a_monitor_that_nobody_logs_is_one_line(run, monitor, line):
    with pytest.raises(UserError, match=f"^{re.escape(line)}") as raised:
        run(f"+callbacks.own={{_target_: {LIGHTNINGS}.EarlyStopping, monitor: {monitor}}}")
    assert "\n" not in str(raised.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "due"),
    [
        ("trainer.check_val_every_n_epoch=2", ("max_images=96", "trainer.max_epochs=2")),
        ("trainer.check_val_every_n_epoch=3", ("trainer.max_epochs=3",)),
        ("trainer.check_val_every_n_epoch=null", ("+trainer.val_check_interval=5", "trainer.max_epochs=2")),
    ],
)
def test_a_run_without_a_validation_says_so(run, caplog, setting, due):
    short = ("+trainer.val_check_interval=5",) if due[0].startswith("+") else ()
    measures = "callbacks.checkpoints.monitor=val/fid_mnist"
    run(setting, *short, "trainer.max_epochs=1", measures)
    assert "no validation: trainer." in caplog.text
    caplog.clear()
    _, metrics = run(setting, *due, folder="due")
    assert "no validation" not in caplog.text
    assert "val/fid_mnist" in metrics


def test_several_processes_that_were_started_from_outside_need_a_folder_with_a_name(gan, monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    code, out, err = gan("train", "data=digits")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("gan train: hydra.run.dir: several processes need one folder; name it, ")
