import logging
import shutil
import signal

import pytest
from PIL import Image

from gan.callbacks.plots import TrainingPlots, evenly_spaced, series
from gan.callbacks.sample_grids import SampleGrid
from gan.loggers import CSVMetrics

PICTURES = {"real_and_generated.png", "interpolation.png", "progress.png", "progress.gif"}


def plots(folder):
    return {path.name for path in (folder / "plots").iterdir()}


@pytest.mark.parametrize("num_classes", [None, 10])
def test_a_run_leaves_curves_samples_and_its_progress(tmp_path, fit, tiny_module, num_classes):
    callbacks = [SampleGrid(seed=0), TrainingPlots(seed=0)]
    loggers = [CSVMetrics(tmp_path / "metrics.csv")]
    fit(tmp_path, *callbacks, epochs=2, loggers=loggers, module=tiny_module(num_classes))
    assert plots(tmp_path) == PICTURES | {"losses.png", "learning_rates.png"}, "no accuracy was logged"
    with Image.open(tmp_path / "plots/progress.gif") as animation:
        assert animation.n_frames == 3


def test_without_a_csv_the_curves_are_left_out_with_one_line(tmp_path, fit, caplog):
    with caplog.at_level(logging.INFO, logger="gan"):
        fit(tmp_path, TrainingPlots(), epochs=1)
    assert plots(tmp_path) == {"real_and_generated.png", "interpolation.png"}, "nor progress without grids"
    (line,) = [record.message for record in caplog.records if "no curves" in record.message]
    assert line.endswith("plots: they need logger=csv")


def test_a_run_shorter_than_its_log_interval_says_so(run, tmp_path, caplog):
    for logger in ("logger=csv", "logger=[csv,tensorboard]"):
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="gan"):
            run("+callbacks.plots._target_=gan.callbacks.plots.TrainingPlots", "trainer.log_every_n_steps=50", logger)
        (line,) = [record.message for record in caplog.records if "no curves" in record.message]
        assert line.endswith("plots: the run has 4 batches, and trainer.log_every_n_steps=50 logged none of them")
        shutil.rmtree(tmp_path / "run")


def test_curves_are_drawn_from_the_file_that_the_logger_writes(tmp_path, fit):
    fit(tmp_path, TrainingPlots(), loggers=[CSVMetrics(tmp_path / "elsewhere" / "values.csv")])
    assert "losses.png" in plots(tmp_path)


def test_an_interrupted_run_has_its_pictures(tmp_path, fit, tiny_module):
    module, loggers = tiny_module(stop_at=12), [CSVMetrics(tmp_path / "metrics.csv")]
    handler = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit):
            fit(tmp_path, SampleGrid(seed=0), TrainingPlots(), loggers=loggers, module=module)
    finally:
        signal.signal(signal.SIGINT, handler)  # Lightning ignores further ones
    assert plots(tmp_path) == PICTURES | {"losses.png", "learning_rates.png"}


def test_series_places_values_at_images_seen():
    rows = [{"images_seen": "10", "a": "1.5"}, {"images_seen": "", "a": "2"}, {"images_seen": "20", "a": ""}]
    assert series(rows, "a") == ([10, 10], [1.5, 2.0])
    assert series(rows, "b") == ([], [])


def test_evenly_spaced_indices_have_the_first_and_the_last():
    assert evenly_spaced(3, 12) == [0, 1, 2]
    assert evenly_spaced(100, 4) == [0, 33, 66, 99]
    assert evenly_spaced(1, 4) == [0]
