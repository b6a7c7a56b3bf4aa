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
            "callbacks: StochasticWeightAveraging does not work with manual optimization; model.ema_half_life",
        ),
        (["+logger.own={_target_: torch.nn.Identity}"], "logger.own._target_=torch.nn.Identity: not a Logger"),
        (
            [f"+callbacks.own={{_target_: {LIGHTNINGS}.EarlyStopping, monitor: val/fid}}"],
            "callbacks: EarlyStopping has monitor=val/fid; validation measures val/fid_mnist, val/is_mnist, ",
        ),
    ],
)
def test_a_setting_that_cannot_work_is_refused_before_anything_is_written(run, tmp_path, overrides, line):
    with pytest.raises(UserError, match=f"^{re.escape(line)}") as raised:
        run(*overrides)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()


def test_several_processes_that_were_started_from_outside_need_a_folder_with_a_name(gan, monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    code, out, err = gan("train", "data=digits")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("gan train: hydra.run.dir: several processes need one folder; name it, ")
