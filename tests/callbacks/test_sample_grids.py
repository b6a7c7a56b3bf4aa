from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image

from gan.callbacks.budget import ImageBudget
from gan.callbacks.sample_grids import SampleGrid, grid_inputs, log_picture, saved_grids


def names(folder):
    return [path.name for path in sorted((folder / "samples").iterdir())]


def test_a_grid_before_training_after_each_epoch_and_every_n_batches(tmp_path, fit):
    fit(tmp_path, SampleGrid(seed=0, num_images=9, every_n_batches=3), epochs=2)
    assert names(tmp_path) == [
        "epoch_0000_images_0000000000.png",
        "epoch_0000_images_0000000012.png",
        "epoch_0001_images_0000000020.png",
        "epoch_0001_images_0000000024.png",
        "epoch_0001_images_0000000036.png",
        "epoch_0002_images_0000000040.png",
    ]
    assert [images for _, _, images in saved_grids(tmp_path)] == [0, 12, 20, 24, 36, 40]
    with Image.open(saved_grids(tmp_path)[0][0]) as picture:
        assert picture.size == (6 * 92, 6 * 92)  # 480 pixels or more


def test_a_state_that_is_due_twice_is_drawn_once(tmp_path, fit):
    fit(tmp_path, SampleGrid(seed=0, num_images=4, every_n_batches=5, every_n_epochs=2), epochs=3)
    assert [grid[1:] for grid in saved_grids(tmp_path)] == [(0, 0), (1, 20), (2, 40), (3, 60)]


def test_the_end_of_a_shortened_epoch_is_drawn_once(tmp_path, fit):
    fit(tmp_path, ImageBudget(12), SampleGrid(seed=0, num_images=4, every_n_batches=3), epochs=3)
    assert [images for _, _, images in saved_grids(tmp_path)] == [0, 12]


def test_the_last_state_is_drawn_whatever_the_interval(tmp_path, fit):
    fit(tmp_path, SampleGrid(seed=0, num_images=4, every_n_epochs=2), epochs=3)
    assert [epoch for _, epoch, _ in saved_grids(tmp_path)] == [0, 2, 3]


def test_a_resumed_run_drops_the_grids_it_will_draw_again(tmp_path, fit):
    checkpoints = ModelCheckpoint(tmp_path / "checkpoints", filename="{epoch}", save_top_k=-1)
    fit(tmp_path, SampleGrid(seed=0, every_n_batches=3), checkpoints, epochs=3)
    fit(tmp_path, SampleGrid(seed=0), epochs=2, ckpt_path=tmp_path / "checkpoints/epoch=0.ckpt")
    assert [images for _, _, images in saved_grids(tmp_path)] == [0, 12, 20, 40]


@pytest.mark.parametrize(("num_classes", "rows", "columns"), [(10, 7, 10), (3, 22, 3), (1000, 7, 10)])
def test_conditional_grids_have_a_latent_per_row_and_a_class_per_column(tiny_module, num_classes, rows, columns):
    z, labels, grid_columns = grid_inputs(tiny_module(num_classes), seed=0, num_images=64)
    assert grid_columns == columns
    assert labels.view(rows, columns).equal(torch.arange(columns).expand(rows, columns))
    z = z.view(rows, columns, 3)
    assert z.equal(z[:, :1].expand_as(z))
    assert len(z[:, 0].unique(dim=0)) == rows


def test_pictures_go_to_loggers_that_take_them_under_one_key(tmp_path, fit):
    taken = []
    picture = Image.new("L", (4, 4))
    log_picture(SimpleNamespace(log_image=lambda *call, step: taken.append((*call, step))), "samples", picture, step=5)
    log_picture(SimpleNamespace(), "samples", picture, step=5)
    assert taken == [("samples", [picture], 5)]

    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    fit(tmp_path, SampleGrid(seed=0), epochs=2, loggers=[TensorBoardLogger(tmp_path, name="", version="")])
    events = event_accumulator.EventAccumulator(str(tmp_path)).Reload()
    assert events.Tags()["images"] == ["samples"]
    assert [event.step for event in events.Images("samples")] == [0, 20, 40]
