"""`gan evaluate` on tiny runs and embedded digits."""

import json
import shutil

import pytest
import torch

from gan.data import Digits
from gan.errors import UserError
from gan.metrics.features import FeatureCollector
from gan.runs.folder import held

pytestmark = pytest.mark.slow


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


def test_two_at_once_do_not_mix_in_one_folder(checkpoints, measured, tmp_path):
    with held(tmp_path / "evaluation"), pytest.raises(UserError, match="another process writes there"):
        measured(checkpoints["conditional"])
    assert [path.name for path in (tmp_path / "evaluation").iterdir()] == [".lock"]


@pytest.mark.usefixtures("no_pictures")
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
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {"conditional_last", "unconditional_last"}


@pytest.mark.usefixtures("no_pictures")
def test_a_run_is_measured_with_its_own_data_unless_told_otherwise(gan, trained, tmp_path):
    run = shutil.copytree(trained("conditional"), tmp_path / "run")
    (run / ".hydra").mkdir()
    (run / ".hydra" / "hydra.yaml").write_text(f"hydra: {{runtime: {{cwd: '{tmp_path}'}}}}")
    small = ("num_samples=100", "device=cpu", "metrics.measures=[class_balance]")
    code, out, err = gan("evaluate", f"ckpt={run}/generator.safetensors", *small, "data.val_size=200", "split=val")
    assert (code, err) == (0, "")
    assert f"generator   {run}/generator.safetensors, 64 images seen\n" in out
    assert f"data        Digits in {tmp_path}/data, as in the run, but for data.val_size\n" in out
    code, _, err = gan("evaluate", f"ckpt={run}/checkpoints/last.ckpt", *small, "data=mnist", "data.download=false")
    assert code == 2
    assert "MNIST" in err
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("gan.data.Digits", "os.system"))
    code, _, err = gan("evaluate", f"ckpt={run}/checkpoints/last.ckpt", *small)
    assert (code, err.count("\n")) == (2, 1)
    assert "data.source._target_=os.system: only what is under gan.data is built" in err


def test_memorization_shows_the_nearest_training_images(checkpoints, measured):
    columns, folder = measured(checkpoints["unconditional"], "metrics.measures=[memorization]")
    assert columns["unconditional/last"]["test/memorization_ratio_mnist"] > 0
    assert (folder / "nearest_training.png").is_file()


@pytest.mark.usefixtures("no_pictures")
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
        ("conditional", ["num_samples=abc"], "num_samples=abc: a whole number, 1 or more"),
        ("conditional", ["repeats=1.5"], "repeats=1.5: a whole number, 1 or more"),
        ("conditional", ["metrics.measures=[fidd]"], "fidd"),
        ("conditional", ["metrics.measures=5"], "metrics.measures=5: a list of names"),
        ("conditional", ["metrics.measures=[]"], r"metrics.measures=\[\]: name at least one"),
        ("conditional", ["split=train"], "split=train"),
        ("conditional", ["labels=odd"], "labels=odd: real or even"),
        ("conditional", ["resize=crop"], "resize=crop: only for given images"),
        ("conditional", ["invert=true"], "invert=True: only for given images"),
        ("unconditional", ["labels=even", "metrics.measures=[fid]"], "labels=even: needs a conditional model"),
        ("stacked", ["metrics.measures=null"], "channels"),
    ],
)
def test_mistakes_are_one_line_before_images_are_read(checkpoints, measured, model, overrides, message, monkeypatch):
    monkeypatch.setattr(FeatureCollector, "add", lambda *images: pytest.fail("images were read"))
    with pytest.raises(UserError, match=message) as raised:
        measured(checkpoints[model], *overrides)
    assert "\n" not in str(raised.value)


def test_of_several_checkpoints_the_one_that_does_not_fit_the_data_is_named(checkpoints, measured):
    with pytest.raises(UserError, match=rf"data=digits: .*the model 3 \(ckpt={checkpoints['stacked']}\)"):
        measured([checkpoints["unconditional"], checkpoints["stacked"]])


def test_data_with_other_classes_are_refused(checkpoints, measured, monkeypatch):
    monkeypatch.setattr(Digits, "num_classes", 11)
    with pytest.raises(UserError, match="data=digits: it has 11 classes, the model 10"):
        measured(checkpoints["conditional"])


def test_validation_measures_are_logged_and_choose_the_best(run, tmp_path):
    _, metrics = run("model.num_classes=10", "data.val_batch_size=150", "trainer.limit_val_batches=2")
    assert {"val/fid_mnist", "val/is_mnist", "val/digit_accuracy"} <= metrics.keys()
    assert "val/kid_mnist" not in metrics  # 300 images are fewer than a draw of KID
    saved = json.loads((tmp_path / "run" / "checkpoints" / "best.json").read_text())
    assert saved["best_score"] == pytest.approx(metrics["val/fid_mnist"])
    checkpoint = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert not any("measure" in key or "extractor" in key for key in checkpoint["state_dict"])
