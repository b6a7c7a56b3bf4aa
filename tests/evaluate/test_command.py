"""`gan evaluate` on tiny runs and embedded digits."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from tiny_runs import RUNS

from gan.config import compose
from gan.data import Digits
from gan.errors import UserError
from gan.evaluate import evaluate, markdown
from gan.evaluate.table import short_names
from gan.metrics.features import Samples

SMALL = (
    "data=digits",
    "device=cpu",
    "num_samples=400",
    "metrics.measures=[fid,is,precision,recall,digit_accuracy,class_balance]",
)

pytestmark = pytest.mark.slow


@pytest.fixture
def checkpoints(trained):
    """Last checkpoints of a conditional, an unconditional and a three-channel run."""
    return {name: trained(name) / "checkpoints" / "last.ckpt" for name in RUNS}


@pytest.fixture
def measured(tmp_path):
    """A function from checkpoints and overrides to the table of an evaluation and its folder."""

    def run(ckpt, *overrides):
        names = ckpt if isinstance(ckpt, list) else [ckpt]
        text = ",".join(f"'{name}'" for name in names)
        folder = tmp_path / "evaluation"
        cfg = compose("evaluate", [*SMALL, f"ckpt=[{text}]", f"output_dir='{folder}'", *overrides])
        return evaluate(cfg), folder

    return run


def test_one_checkpoint_beside_the_floor(checkpoints, measured):
    columns, folder = measured(checkpoints["conditional"])
    assert list(columns) == ["conditional/last", "floor"]
    model, floor = columns.values()
    assert floor["test/fid_mnist"] < model["test/fid_mnist"]
    assert floor["test/digit_accuracy"] > 0.9
    summary = json.loads((checkpoints["conditional"].parent.parent / "summary.json").read_text())
    assert model["train/minutes"] == summary["minutes"]
    assert "train/minutes" not in floor
    saved = json.loads((folder / "metrics.json").read_text())
    assert saved["measures"] == columns
    assert (saved["num_samples"], saved["split"], saved["data"]) == (400, "test", "digits")
    assert "| test/fid_mnist ↓ |" in (folder / "metrics.md").read_text()
    pictures = {path.name for path in folder.glob("*.png")}
    assert pictures == {"real_and_generated.png", "by_class.png", "confusion.png", "features.png"}


def test_several_checkpoints_and_repeats_make_one_table(checkpoints, measured):
    columns, folder = measured([checkpoints["conditional"], checkpoints["unconditional"]], "repeats=2")
    assert list(columns) == ["conditional/last", "unconditional/last", "floor"]
    assert "test/digit_accuracy" not in columns["unconditional/last"]
    assert columns["conditional/last"]["test/fid_mnist_spread"] >= 0
    table = (folder / "metrics.md").read_text()
    assert "±" in table
    best = min(("conditional/last", "unconditional/last"), key=lambda name: columns[name]["test/fid_mnist"])
    (row,) = (line.split(" | ") for line in table.splitlines() if line.startswith("| test/fid_mnist ↓ |"))
    assert [cell.startswith("**") for cell in row[1:]] == [name == best for name in columns]
    for name in ("conditional_last", "unconditional_last"):
        assert (folder / name / "real_and_generated.png").is_file()


def test_columns_have_names_that_tell_files_apart():
    def named(*paths):
        return short_names([Path(path) for path in paths])

    assert named("/o/train/a/checkpoints/best.ckpt") == ["a/best"]
    assert named("/o/multirun/lr/0/checkpoints/best.ckpt") == ["lr/0/best"]
    assert named("/m/lr/0/checkpoints/best.ckpt", "/m/bs/0/checkpoints/best.ckpt") == ["lr/0/best", "bs/0/best"]
    assert named("/a/x/d.ckpt", "/a/y/d.ckpt") == ["x/d", "y/d"]
    assert named("/a/d.ckpt", "/a/d.onnx") == ["/a/d.ckpt", "/a/d.onnx"]
    assert named("/a/floor.ckpt") == ["a/floor"]


@pytest.mark.usefixtures("no_pictures")
def test_a_run_is_measured_with_its_own_data_unless_told_otherwise(gan, trained, tmp_path):
    run = shutil.copytree(trained("conditional"), tmp_path / "run")
    (run / ".hydra").mkdir()
    (run / ".hydra" / "hydra.yaml").write_text(f"hydra: {{runtime: {{cwd: '{tmp_path}'}}}}")
    small = ("num_samples=100", "device=cpu", "metrics.measures=[class_balance]")
    code, out, err = gan("evaluate", f"ckpt={run}/generator.safetensors", *small, "data.val_size=200", "split=val")
    assert (code, err) == (0, "")
    assert f"generator   {run}/generator.safetensors, 64 images seen\n" in out
    assert f"data        Digits in {tmp_path}/data, as in the run\n" in out
    code, _, err = gan("evaluate", f"ckpt={run}/checkpoints/last.ckpt", *small, "data=mnist", "data.download=false")
    assert code == 2
    assert "MNIST" in err
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("gan.data.Digits", "os.system"))
    code, _, err = gan("evaluate", f"ckpt={run}/checkpoints/last.ckpt", *small)
    assert (code, err.count("\n")) == (2, 1)
    assert "data.source._target_=os.system: only what is under gan.data is built" in err


@pytest.mark.usefixtures("no_pictures")
def test_labels_are_those_of_the_real_images_or_even(checkpoints, measured, monkeypatch):
    given = {}
    add = Samples.add

    def kept(self, images, labels):
        given.setdefault(self, []).extend(labels.tolist())
        add(self, images, labels)

    monkeypatch.setattr(Samples, "add", kept)
    _, folder = measured(checkpoints["conditional"], "metrics.measures=[class_balance]")
    real, generated = given.values()
    model = generated[:400]
    assert model == (real * 2)[:400]
    assert json.loads((folder / "metrics.json").read_text())["labels"] == "real"
    given.clear()
    measured(checkpoints["conditional"], "metrics.measures=[class_balance]", "labels=even")
    _, generated = given.values()
    model, floor = generated[:400], generated[400:]
    assert model == [i % 10 for i in range(400)]
    assert sorted(floor) == sorted(model)


def test_memorization_shows_the_nearest_training_images(checkpoints, measured):
    columns, folder = measured(checkpoints["unconditional"], "metrics.measures=[memorization]")
    assert columns["unconditional/last"]["test/memorization_ratio_mnist"] > 0
    assert (folder / "nearest_training.png").is_file()


def test_own_measure_and_extractor(checkpoints, measured):
    columns, _ = measured(
        checkpoints["conditional"],
        "metrics.extractor={_target_: my_gan.EdgeExtractor}",
        "metrics.measures=[fid,{_target_: my_gan.MeanShift,scale:2.0}]",
    )
    model, floor = columns["conditional/last"], columns["floor"]
    assert set(floor) == {"test/fid_edges", "test/mean_shift_edges"}
    assert floor["test/mean_shift_edges"] < model["test/mean_shift_edges"]


def test_stacked_digits_count_modes(checkpoints, measured):
    columns, _ = measured(
        checkpoints["stacked"],
        "metrics.measures=[fid,modes,class_balance]",
        "data.source._target_=three_channels.ThreeDigits",
    )
    assert 1 <= columns["stacked/last"]["test/modes"] <= 400
    assert columns["floor"]["test/modes"] > columns["stacked/last"]["test/modes"]


@pytest.mark.parametrize(
    ("model", "overrides", "message"),
    [
        ("conditional", ["num_samples=1"], "num_samples=1, metrics.measures: fid takes at least 2"),
        ("conditional", ["num_samples=50"], "num_samples=50, metrics.measures: is takes at least 100 generated images"),
        ("conditional", ["num_samples=abc"], "num_samples=abc: a whole number, 1 or more"),
        ("conditional", ["repeats=1.5"], "repeats=1.5: a whole number, 1 or more"),
        ("conditional", ["metrics.measures=[fidd]"], "fidd"),
        ("conditional", ["metrics.extractor=vgg"], "metrics.extractor=vgg: mnist, fashion_mnist, kmnist, inception"),
        ("conditional", ["split=train"], "split=train"),
        ("conditional", ["labels=odd"], "labels=odd: real or even"),
        ("unconditional", ["labels=even", "metrics.measures=[fid]"], "labels=even: needs a conditional model"),
        ("conditional", ["data.source._target_=my_gan.Stripes", "data.val_size=100"], "stripes shows no digits"),
        ("stacked", ["metrics.measures=null"], "channels"),
        ("unconditional", ["metrics.measures=[digit_accuracy]"], "digit_accuracy needs a conditional model"),
    ],
)
def test_mistakes_are_one_line_before_images_are_read(checkpoints, measured, model, overrides, message, monkeypatch):
    monkeypatch.setattr(Samples, "add", lambda *images: pytest.fail("images were read"))
    with pytest.raises(UserError, match=message) as raised:
        measured(checkpoints[model], *overrides)
    assert "\n" not in str(raised.value)


def test_data_with_other_classes_are_refused(checkpoints, measured, monkeypatch):
    monkeypatch.setattr(Digits, "num_classes", 11)
    with pytest.raises(UserError, match="data=digits: it has 11 classes, the model 10"):
        measured(checkpoints["conditional"])


@pytest.mark.usefixtures("no_pictures")
def test_a_floor_of_fewer_images_is_told(checkpoints, measured, caplog):
    measured(checkpoints["conditional"], "metrics.measures=[fid]", "num_samples=5000")
    assert "the floor is of 1200 images, not 5000: there are no more" in caplog.messages


@pytest.mark.usefixtures("no_pictures")
def test_measures_that_the_data_is_too_small_for_are_left_out(checkpoints, measured):
    columns, _ = measured(checkpoints["conditional"], "metrics.measures=null", "num_samples=1000")
    assert "test/kid_mnist" not in columns["conditional/last"]
    assert {"test/fid_mnist", "test/coverage_mnist", "test/sharpness"} <= columns["floor"].keys()


def test_markdown():
    columns = {"a": {"x": 1.0, "x_spread": 0.25, "y": 2.0}, "floor": {"x": 0.5}}
    assert markdown(columns).splitlines()[2:] == ["| x | 1 ± 0.25 | 0.5 |", "| y | 2 | - |"]
    bounds = {"a": {"x": (0.75, 1.25)}}
    assert "| x | 1 ± 0.25 [0.75, 1.25] | 0.5 |" in markdown(columns, intervals=bounds)
    both = {"a": {"x": 1.0, "x_class_3": 2.0, "y": 3.0}}
    rows = [line.split(" | ")[0] for line in markdown(both).splitlines()[2:]]
    assert rows == ["| x", "| y", "", "| measure", "| ---", "| x_class_3"]


@pytest.mark.usefixtures("no_pictures")
def test_the_floor_has_a_spread_of_its_own(checkpoints, measured):
    columns, folder = measured(checkpoints["conditional"], "repeats=2", "metrics.measures=[fid]")
    assert columns["floor"]["test/fid_mnist_spread"] > 0
    once, _ = measured(checkpoints["conditional"], "metrics.measures=[fid]")
    assert set(once["floor"]) == {"test/fid_mnist"}
    table = json.loads((folder / "metrics.json").read_text())
    assert table["intervals"].keys() == table["measures"].keys()


def test_validation_measures_are_logged_and_choose_the_best(run, tmp_path):
    _, metrics = run("model.num_classes=10", "data.val_batch_size=150", "trainer.limit_val_batches=2")
    assert {"val/fid_mnist", "val/is_mnist", "val/digit_accuracy"} <= metrics.keys()
    assert "val/kid_mnist" not in metrics  # 300 images are fewer than a draw of KID
    saved = json.loads((tmp_path / "run" / "checkpoints" / "best.json").read_text())
    assert saved["best_score"] == pytest.approx(metrics["val/fid_mnist"])
    checkpoint = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert not any("measure" in key or "extractor" in key for key in checkpoint["state_dict"])
