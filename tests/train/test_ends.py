"""Where a run ends, and what is left then."""

import json

import pytest

from gan.errors import UserError

pytestmark = pytest.mark.slow


def test_max_images_ends_a_run_and_its_schedules(run, tmp_path):
    linear = "{_target_: gan.schedules.LinearDecay, total_steps: null, start: 0.0}"
    module, metrics = run("max_images=100", f"model.generator_schedule={linear}", "trainer.limit_train_batches=1.0")
    assert module.images_seen == 112
    assert metrics["train/lr_generator"] == pytest.approx(2e-4 / 7)  # that of the last of seven steps
    saved = json.loads((tmp_path / "run" / "checkpoints" / "last.json").read_text())
    assert (saved["images_seen"], saved["epoch"]) == (112, 1)


def test_weights_that_are_not_finite_are_not_written(run, begun, tmp_path):
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    before = last.read_bytes()
    with pytest.raises(UserError, match="diverged"):
        run("ckpt_path=auto", "trainer.max_epochs=2", "model.instance_noise=1e38")
    assert last.read_bytes() == before
