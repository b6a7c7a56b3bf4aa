"""What a run prints and leaves, when it records its settings, and what it leaves open of a caller's."""

import logging
import signal
import warnings

import pytest
import torch
from offline_runs import offline_runs
from tiny_runs import FAST, NARROW, TINY, last_checkpoint, same_weights

from gan.callbacks.training_log import TrainingLog
from gan.errors import UserError
from gan.module import GAN

MODEL_CHECKPOINT = "lightning.pytorch.callbacks.ModelCheckpoint"
QUICK = (*TINY, *NARROW, *FAST, "trainer.limit_train_batches=1", "logger=none")
REFUSED_LATE = (  # by parts that are built or set up when training starts
    "model.generator_schedule={_target_: torch.optim.lr_scheduler.ReduceLROnPlateau}",
    "+callbacks.own={_target_: lightning.pytorch.callbacks.LearningRateMonitor}",
    "callbacks.checkpoints.directory=elsewhere",
    "cuda_graph=true",
)


@pytest.mark.slow
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

    record = {path: path.read_bytes() for path in (run / ".hydra").iterdir()}
    assert gan("train", "ckpt_path=last", "trainer.max_epochs=1", "seed=9")[0] == 0  # complete: these trained nothing
    assert {path: path.read_bytes() for path in (run / ".hydra").iterdir()} == record


@pytest.fixture
def wandb():
    return pytest.importorskip("wandb")


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_run_of_the_callers_own_stays_open(run, tmp_path, wandb):
    own = wandb.init(mode="offline", dir=str(tmp_path))
    for logger in ("csv", "wandb"):
        run(f"logger={logger}", folder=logger)
        assert wandb.run is own
    own.finish()


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


@pytest.mark.slow
def test_a_refused_cuda_graph_deletes_nothing_of_what_a_resumed_run_writes_again(gan, tmp_path):
    quick = (*TINY, *NARROW, "~callbacks.plots", "trainer.limit_train_batches=1", "trainer.max_epochs=2")
    assert gan("train", *quick, "callbacks.checkpoints.every_n_epochs=1")[0] == 0
    before = contents(tmp_path)
    older = min(tmp_path.glob("outputs/train/*/checkpoints/epoch_*.ckpt"))
    there = (f"ckpt_path='{older}'", f"hydra.run.dir='{older.parent.parent}'")
    code, _, errors = gan("train", *quick, *there, "cuda_graph=true")
    assert code == 2
    assert "cuda_graph=true: graphs need a cuda device" in errors
    assert contents(tmp_path) == before


@pytest.mark.slow
def test_the_messages_that_training_hides_are_the_callers_again(run):
    log = logging.getLogger("lightning.pytorch")
    before = log.level, list(warnings.filters)
    log.setLevel(logging.DEBUG)
    try:
        with pytest.raises(UserError):
            run("model.generator_optimizer.lr=-1")
        assert log.level == logging.DEBUG
        run()
        assert (log.level, list(warnings.filters)) == (logging.DEBUG, before[1])
    finally:
        log.setLevel(before[0])


@pytest.mark.slow
@pytest.mark.parametrize(("callers", "runs"), [(True, []), (False, ["deterministic=true", "+trainer.benchmark=true"])])
def test_after_a_run_torch_is_as_deterministic_as_the_caller_wants(run, callers, runs):
    torch.use_deterministic_algorithms(callers)
    try:
        run(*runs)
        assert torch.are_deterministic_algorithms_enabled() is callers
        assert not torch.backends.cudnn.benchmark
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.slow
def test_what_early_stopping_says_is_logged_once(gan):
    early = "{_target_: lightning.pytorch.callbacks.EarlyStopping, monitor: val/fid_mnist, verbose: true}"
    code, out, err = gan("train", *QUICK, f"+callbacks.early={early}")
    assert code == 0
    assert (out + err).count("Metric val/fid_mnist improved") == 1


@pytest.mark.slow
def test_without_its_bar_a_run_shows_none_of_lightnings(gan):
    quick = [text for text in QUICK if text != "+trainer.enable_progress_bar=false"]
    assert len(quick) < len(QUICK)
    code, out, err = gan("train", *quick)
    assert code == 0
    assert "━" not in out + err


@pytest.mark.slow
def test_weights_alone_can_be_saved_and_do_not_resume(run, tmp_path):
    own = f"{{_target_: {MODEL_CHECKPOINT}, dirpath: '{tmp_path}/own', filename: mine, save_weights_only: true}}"
    run(f"+callbacks.own={own}")
    mine = tmp_path / "own" / "mine.ckpt"
    with pytest.raises(UserError, match=r"it has no progress of a run; init_from=\S+mine.ckpt takes its weights"):
        run(f"ckpt_path='{mine}'", "trainer.max_epochs=2", folder="resumed")
    assert run(f"init_from='{mine}'", folder="new")[0].images_seen == 64


@pytest.mark.slow
def test_a_checkpoint_loads_by_itself(run, tmp_path):
    module, _ = run()
    loaded = GAN.load_from_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert same_weights({"state_dict": module.state_dict()}, {"state_dict": loaded.state_dict()})
    assert loaded.images_seen == module.images_seen == 64


def test_a_checkpoint_callback_of_lightnings_makes_its_folder(run, tmp_path):
    own = f"{{_target_: {MODEL_CHECKPOINT}, dirpath: '{tmp_path}/a/b', filename: mine}}"
    run(f"+callbacks.own={own}")
    assert (tmp_path / "a" / "b" / "mine.ckpt").is_file()
