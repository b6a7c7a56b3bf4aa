"""The measures of validation: which real images they compare with, and measures of one's own."""

import json

import pytest
from lightning.pytorch.callbacks import ModelCheckpoint
from tiny_runs import FAST

from gan.callbacks.validation import ValidationMeasures
from gan.config import instantiate
from gan.errors import UserError
from gan.loggers.csv import read_rows
from gan.train import train

OWN = ("'metrics.extractor={_target_: my_gan.EdgeExtractor}'", "'metrics.measures=[fid,{_target_: my_gan.MeanShift}]'")


@pytest.mark.slow
def test_images_of_the_sanity_check_are_not_compared_with_later(run, tmp_path):
    course = {}
    for steps in (0, 2):
        run(
            *("data.val_batch_size=50", "trainer.limit_val_batches=4", "trainer.max_epochs=2"),
            f"trainer.num_sanity_val_steps={steps}",
            folder=f"run{steps}",
        )
        course[steps] = [row["val/fid_mnist"] for row in read_rows(tmp_path / f"run{steps}" / "metrics.csv")]
    assert any(course[0])
    assert course[0] == course[2]


def test_own_measure_and_extractor_choose_the_best(run, tmp_path):
    _, metrics = run(*(text.strip("'") for text in OWN))
    assert {"val/fid_edges", "val/mean_shift_edges"} <= metrics.keys()
    assert not any(name.endswith("_mnist") for name in metrics)
    saved = (tmp_path / "run" / "checkpoints" / "best.json").read_text()
    assert '"monitor": "val/fid_edges"' in saved
    assert f'"best_score": {metrics["val/fid_edges"]:.4f}'[:-3] in saved


def test_measures_without_the_monitored_one_are_kept(tiny, tmp_path, caplog):
    """Beside a checkpoint callback of one's own that keeps the highest value."""
    own = f"{{_target_: {ModelCheckpoint.__module__}.ModelCheckpoint, monitor: val/is_mnist, mode: max}}"
    cfg = tiny(*FAST, "metrics.measures=[is]", f"+callbacks.own={own}")
    cfg.callbacks = dict(reversed(cfg.callbacks.items()))  # it comes before the run's own
    train(cfg)
    saved = json.loads((tmp_path / "run" / "checkpoints" / "last.json").read_text())
    assert "val/is_mnist" in saved["metrics"]
    lines = [line for line in caplog.messages if "is not measured" in line]
    assert lines == ["callbacks.checkpoints.monitor=val/fid_mnist is not measured: best.ckpt is the newest"]


def test_a_monitored_value_that_should_be_high_is_refused(run):
    with pytest.raises(UserError, match=r"monitor=val/is_mnist: the lowest is kept, and higher is better"):
        run("metrics.measures=[is]", "callbacks.checkpoints.monitor=val/is_mnist")


def test_it_measures_without_a_fit(tiny):
    cfg = tiny(*FAST)
    trainer = instantiate(cfg.trainer, logger=False, callbacks=[ValidationMeasures(measures=["fid"])])
    (values,) = trainer.validate(instantiate(cfg.model), instantiate(cfg.data), verbose=False)
    assert values["val/fid_mnist"] > 0


@pytest.mark.parametrize("measures", ["fid", "5"])
def test_measures_are_a_list(run, measures):
    with pytest.raises(UserError, match=r"^metrics\.measures=.*: a list of names, such as \[fid,is\], or null"):
        run(f"metrics.measures={measures}")


def test_a_missing_extractor_is_one_line(run):
    with pytest.raises(UserError, match=r"my_gan\.Missing") as raised:
        run("metrics.extractor={_target_: my_gan.Missing}")
    assert "\n" not in str(raised.value)
