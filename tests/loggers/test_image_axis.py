"""Rows stand at the images seen when they were measured, and one that cannot be written costs no training."""

import logging

import pytest
from lightning.pytorch.callbacks import LambdaCallback
from offline_runs import offline_runs

from gan.loggers import CSVMetrics
from gan.loggers.tensorboard import TensorBoardRun
from gan.step_plan import LoggedStep
from gan.train import train

pytestmark = pytest.mark.slow


def test_rows_of_a_call_of_many_steps_stand_at_their_own_images(run, tmp_path):
    pytest.importorskip("wandb")
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run("logger=[tensorboard,wandb]", "steps_per_execution=4")
    events = event_accumulator.EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("train/loss_generator")] == [16, 32, 48, 64]
    (found,) = offline_runs(tmp_path)
    assert [images for images, _ in found.curve("train/loss_generator")] == [16, 32, 48, 64]


def test_a_validation_and_a_grid_wait_for_the_rows_before_them(tiny, tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setattr(LoggedStep, "ready", lambda self: False)  # as on a card that is busy with later steps
    more = ("+trainer.val_check_interval=3", "callbacks.samples.every_n_batches=2")
    train(tiny("logger=wandb", "~callbacks.plots", *more))
    (found,) = offline_runs(tmp_path)
    assert [images for images, _ in found.curve("samples")] == [0, 32, 64]
    assert [images for images, _ in found.curve("val/fid_mnist")] == [48]
    assert [images for images, _ in found.curve("train/loss_generator")] == [16, 32, 48, 64]


def test_what_a_callback_of_ones_own_logs_waits_for_the_rows_before_it(tiny, tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setattr(LoggedStep, "ready", lambda self: False)
    rates = "+callbacks.rates={_target_: lightning.pytorch.callbacks.LearningRateMonitor, logging_interval: step}"
    train(tiny("logger=wandb", "~callbacks.plots", "~callbacks.measures", "callbacks.samples=null", rates))
    (found,) = offline_runs(tmp_path)
    assert len(found.curve("lr-Adam")) == 4
    assert [images for images, _ in found.curve("train/loss_generator")] == [16, 32, 48, 64]


def test_a_row_without_its_images_stands_at_those_of_the_module_or_without_one_at_its_step(tmp_path, tiny_module):
    logger, module = CSVMetrics(tmp_path / "metrics.csv"), tiny_module()
    assert logger.images_at({}, 7) == 7
    logger.follow(module)
    module.images_seen = 40
    assert (logger.images_at({"loss": 1.0}, 7), logger.images_at({"images_seen": 36.0}, 7)) == (40, 36)


def test_a_value_that_is_no_number_is_an_error_and_no_missing_row(tmp_path):
    pytest.importorskip("tensorboard")
    with pytest.raises(ValueError, match="you tried to log low"):
        TensorBoardRun(tmp_path).log_metrics({"loss": "low"}, step=1)


@pytest.mark.parametrize("method", ["add_scalar", "add_image", "flush", "close"])
def test_events_that_cannot_be_written_cost_one_warning(tiny, tmp_path, monkeypatch, caplog, method):
    from torch.utils.tensorboard import SummaryWriter

    def full(*_, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SummaryWriter, method, full)
    quick = ("trainer.limit_train_batches=2", "~callbacks.plots", "~callbacks.measures")
    module, _ = train(tiny("logger=tensorboard", *quick))
    assert module.images_seen == 32
    assert len([line for line in caplog.messages if "No space left on device" in line]) == 1


def test_metrics_that_cannot_be_written_cost_one_warning(tmp_path, fit, caplog):
    def in_the_way(*_):
        if logger.path.is_file():
            logger.path.rename(tmp_path / "moved.csv")
            logger.path.mkdir()

    logger = CSVMetrics(tmp_path / "metrics.csv")
    caplog.set_level(logging.WARNING, "gan")
    trainer = fit(tmp_path, LambdaCallback(on_train_batch_start=in_the_way), epochs=2, loggers=[logger])
    assert trainer.lightning_module.images_seen == 40
    assert len([line for line in caplog.messages if "metrics.csv: not written" in line]) == 1
