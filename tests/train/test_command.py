"""What a run prints and leaves, and what it leaves open of a caller's."""

import signal

import pytest
from offline_runs import offline_runs
from tiny_runs import FAST, NARROW, TINY, last_checkpoint

from gan.callbacks.training_log import TrainingLog

pytestmark = pytest.mark.slow


def test_a_run_prints_its_setup_and_resumes(gan, tmp_path):
    quick = (*TINY, *NARROW, *FAST, "trainer.limit_train_batches=1")
    code, _, _ = gan("train", *quick, "model.discriminator_optimizer.lr=${model.generator_optimizer.lr}")
    assert code == 0
    (run,) = (tmp_path / "outputs" / "train").iterdir()
    log = (run / "run.log").read_text()
    assert all(word in log for word in ("device", "precision", "parameters", "digits", str(run)))
    files = {path.name for path in run.iterdir()}
    assert files >= {"config.yaml", ".hydra", "networks.txt", "metrics.csv", "summary.json"}
    assert files >= {"checkpoints", "generator.safetensors", "discriminator.safetensors"}

    code, _, _ = gan("train", "ckpt_path=last", "trainer.max_epochs=2")
    assert code == 0
    assert [path.name for path in (tmp_path / "outputs" / "train").iterdir()] == [run.name]
    checkpoint = last_checkpoint(run)
    assert (checkpoint["epoch"], checkpoint["images_seen"]) == (1, 32)


@pytest.fixture
def wandb():
    return pytest.importorskip("wandb")


def test_an_interrupted_run_is_marked_and_another_can_follow(run, tmp_path, monkeypatch, wandb):
    def interrupt(*_):
        raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(TrainingLog, "on_train_epoch_start", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run("logger=wandb", folder="a")
    signal.signal(signal.SIGINT, handler)  # Lightning ignores further ones
    run("logger=wandb", folder="b")
    assert [found.exit_code for found in offline_runs(tmp_path)] == [1, 0]


def test_a_run_of_the_callers_own_stays_open(run, tmp_path, wandb):
    own = wandb.init(mode="offline", dir=str(tmp_path))
    for logger in ("csv", "wandb"):
        run(f"logger={logger}", folder=logger)
        assert wandb.run is own
    own.finish()
