"""A run's settings are recorded when nothing can refuse them any more."""

import pytest
from tiny_runs import FAST, NARROW, TINY

QUICK = (*TINY, *NARROW, *FAST, "trainer.limit_train_batches=1", "logger=none")
REFUSED_LATE = (  # by parts that are built or set up when training starts
    "model.generator_schedule={_target_: torch.optim.lr_scheduler.ReduceLROnPlateau}",
    "+callbacks.own={_target_: lightning.pytorch.callbacks.LearningRateMonitor}",
    "callbacks.checkpoints.directory=elsewhere",
)


def contents(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize("wrong", REFUSED_LATE)
def test_a_run_that_is_refused_when_it_starts_leaves_no_folder(gan, tmp_path, wrong):
    code, _, errors = gan("train", *QUICK, wrong)
    assert (code, errors.splitlines()[-1][:10]) == (2, "gan train:")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert [*tmp_path.glob("outputs/train/*")] == []


@pytest.mark.slow
def test_a_refused_override_does_not_stay_in_the_run(gan, tmp_path):
    assert gan("train", *QUICK)[0] == 0
    before = contents(tmp_path)
    for wrong in ("data.batch_size=0", "model.generator_optimizer.lr=1e-4", "+lr=3", *REFUSED_LATE):
        assert gan("train", "ckpt_path=last", "trainer.max_epochs=2", wrong)[0] == 2
        assert contents(tmp_path) == before
    code, _, errors = gan("train", "ckpt_path=last", "trainer.max_epochs=2")
    assert code == 0, errors
    (run,) = (tmp_path / "outputs" / "train").iterdir()
    settings = f"{run}/.hydra"
    again = gan("train", "--config-path", settings, "trainer.max_epochs=0", "--config-name", "config", "ckpt_path=null")
    assert again[0] == 0, again
    assert len([*(tmp_path / "outputs" / "train").iterdir()]) == 2
