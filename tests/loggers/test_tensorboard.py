"""Runs of TensorBoard, read back from their event files."""

import pytest

from gan.loggers.tensorboard import TensorBoardRun
from gan.train import train

pytestmark = pytest.mark.slow


def events(folder):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    return event_accumulator.EventAccumulator(str(folder / "tensorboard"), {"tensors": 0, "images": 0}).Reload()


def hparams(found, part):
    from tensorboard.plugins.hparams import plugin_data_pb2

    content = found.SummaryMetadata(f"_hparams_/{part}").plugin_data.content
    return getattr(plugin_data_pb2.HParamsPluginData.FromString(content), part)


def test_curves_pictures_and_hyperparameters_with_the_last_measures(tiny, tmp_path):
    _, metrics = train(tiny("logger=tensorboard", "~callbacks.plots", "trainer.max_epochs=2", "seed=7"))
    found = events(tmp_path / "run")
    assert [event.step for event in found.Images("samples")] == [0, 64, 128]
    assert [event.step for event in found.Scalars("val/fid_mnist")] == [64, 128]
    assert [event.step for event in found.Scalars("train/loss_generator")] == list(range(16, 129, 16))
    assert found.Scalars("val/fid_mnist")[-1].value == pytest.approx(metrics["val/fid_mnist"])

    told = hparams(found, "session_start_info").hparams
    assert told["seed"].number_value == 7
    assert told["data/batch_size"].number_value == 16
    assert told["model/generator_optimizer/lr"].number_value == 2e-4
    assert told["model/loss/_target_"].string_value == "gan.losses.BinaryCrossEntropy"
    measured = {info.name.tag for info in hparams(found, "experiment").metric_infos}
    assert {"val/fid_mnist", "val/is_mnist"} <= measured <= set(found.Tags()["scalars"])


def test_a_resumed_run_leaves_the_curves_of_an_uninterrupted_one(run, tmp_path):
    run("logger=tensorboard")
    kept = (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes()
    run("logger=tensorboard", "ckpt_path=auto", "trainer.max_epochs=2")
    (tmp_path / "run" / "checkpoints" / "last.ckpt").write_bytes(kept)  # as after a kill in the second epoch
    run("logger=tensorboard", "ckpt_path=auto", "trainer.max_epochs=2")
    assert [event.step for event in events(tmp_path / "run").Scalars("train/loss_generator")] == list(
        range(16, 129, 16)
    )


def test_the_folder_is_taken_as_it_is(tmp_path):
    folder = tmp_path / "$HOME %s ~"
    run = TensorBoardRun(folder)
    run.log_metrics({"val/fid_mnist": 1.0}, 1)
    run.save()
    assert "events" in {path.name.partition(".")[0] for path in folder.iterdir()}
