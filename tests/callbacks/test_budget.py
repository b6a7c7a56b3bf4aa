"""A run ends with the batch that has the last of its images."""

import json

import pytest

pytestmark = pytest.mark.slow


def test_max_images_ends_a_run_and_its_schedules(run, tmp_path):
    linear = "{_target_: gan.schedules.LinearDecay, total_steps: null, start: 0.0}"
    whole = (f"model.generator_schedule={linear}", "trainer.limit_train_batches=1.0", "~callbacks.measures")
    module, metrics = run("max_images=100", *whole)
    assert module.images_seen == 112
    assert metrics["train/lr_generator"] == pytest.approx(2e-4 / 7)  # that of the last of seven steps
    saved = json.loads((tmp_path / "run" / "checkpoints" / "last.json").read_text())
    assert (saved["images_seen"], saved["epoch"]) == (112, 1)
    _, metrics = run("max_images=100", *whole, "trainer.log_every_n_steps=5", folder="rarely_logged")
    saved = json.loads((tmp_path / "rarely_logged" / "checkpoints" / "last.json").read_text())
    assert metrics["images_seen"] == saved["metrics"]["images_seen"] == 112  # the last row is of 80
