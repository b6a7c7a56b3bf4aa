"""What this project uses of Lightning beyond its documented interface; `test_other_private_apis.py` has the rest.

pyproject.toml bounds Lightning above. A test here fails when one of these changes. To raise the bound, install the new
version, run this file, and enter the version here. Tested with lightning 2.6.6:

what                                         used for
-------------------------------------------  ---------------------------------------------------------
fit_loop.total_batch_idx                     penalties, logged values and sample grids every n batches
batch_progress.increment_by, is_last_batch   counting the batches of a step that takes several
epoch_loop._batches_that_stepped             the same, for the rows that Lightning logs
epoch_loop.manual_optimization               counting optimizer steps that Lightning does not make
precision_plugin.scaler                      clipping with a fused optimizer in fp16
the loops' entries in a checkpoint           resuming inside an epoch
loader.sampler.set_epoch, before iteration   the order of each epoch's images
WandbLogger._wandb_init, ._experiment        W&B's settings from the run's config, its errors in one line
epoch_loop._should_check_val_fx(data_fetcher) whether a checkpoint with measures follows a batch
its end puts signal handlers back            a run's own handlers for signals that tell it to stop
LOCAL_RANK in the processes it starts        an error is printed once (tests/train/test_ddp.py runs such processes)
"""

import signal

import pytest
import torch
from lightning import LightningModule, Trainer
from torch import nn

from gan.data import TrainingBatches


class Steps(LightningModule):
    """Manual optimization; notes how Lightning counts."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.weight = nn.Parameter(torch.zeros(1))
        self.notes = []

    def step(self):
        optimizer = self.optimizers()
        self.manual_backward((self.weight - 1).square().sum())
        optimizer.step()

    def note(self):
        loop = self.trainer.fit_loop.epoch_loop
        steps = loop.manual_optimization.optim_step_progress
        self.notes.append((self.trainer.fit_loop.total_batch_idx, self.trainer.global_step))
        assert self.trainer.fit_loop.total_batch_idx == loop.batch_progress.total.ready - 1
        assert self.trainer.global_step == steps.total.completed

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class OneBatch(Steps):
    def training_step(self, batch, batch_idx):
        self.note()
        self.step()


class TwoBatches(Steps):
    """Counts each batch of the loader as two."""

    def training_step(self, batch, batch_idx):
        self.note()
        self.step()
        loop = self.trainer.fit_loop.epoch_loop
        loop.batch_progress.increment_by(1, is_last_batch=loop.batch_progress.current.ready == 3)
        loop._batches_that_stepped += 1
        self.note()
        loop.manual_optimization.optim_step_progress.increment_by(1)


def batches():
    """An epoch of four."""
    return TrainingBatches(torch.zeros(24, 1, 28, 28, dtype=torch.uint8), torch.arange(24), batch_size=6, seed=0)


def fit(module, loader, folder, ckpt_path=None, **options):
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = Trainer(accelerator="cpu", devices=1, default_root_dir=folder, **quiet, **options)
    trainer.fit(module, loader, ckpt_path=ckpt_path, weights_only=True)
    return trainer


def test_lightning_counts_batches_and_steps_over_epochs(tmp_path):
    module = OneBatch()
    fit(module, batches(), tmp_path, max_epochs=2)
    assert module.notes == [(n, n) for n in range(8)]


def test_lightning_lets_a_step_take_several_batches_and_count_them(tmp_path):
    module = TwoBatches()
    trainer = fit(module, batches(), tmp_path, max_epochs=2)
    assert module.notes == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7)]
    assert trainer.fit_loop.epoch_loop._batches_that_stepped == 8
    assert (trainer.current_epoch, trainer.global_step) == (2, 8)
    assert trainer.fit_loop.epoch_loop.batch_progress.current.completed == 4
    assert trainer.fit_loop.epoch_loop.batch_progress.is_last_batch


def test_lightnings_checkpoint_says_where_in_an_epoch_it_was_saved(tmp_path):
    trainer = fit(OneBatch(), batches(), tmp_path, max_epochs=2, limit_train_batches=3)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    loops = torch.load(tmp_path / "last.ckpt", weights_only=True)["loops"]["fit_loop"]
    position = loops["epoch_loop.batch_progress"]
    assert (position["current"]["processed"], position["is_last_batch"]) == (3, True)
    for count in (loops["epoch_progress"]["total"], loops["epoch_progress"]["current"]):
        assert {"ready", "started", "processed", "completed"} <= count.keys()


def test_lightning_sets_the_epoch_before_the_first_batch(tmp_path):
    class Noting(TrainingBatches):
        def set_epoch(self, epoch):
            super().set_epoch(epoch)
            noted.append(epoch)

        def __iter__(self):
            noted.append("batch")  # runs when the first batch is taken, not when the iterator is made
            yield from super().__iter__()

    noted, plain = [], batches()
    fit(OneBatch(), Noting(plain.images, plain.labels, plain.batch_size, plain.seed), tmp_path, max_epochs=3)
    assert noted == [0, "batch", 1, "batch", 2, "batch"]


def test_lightning_says_after_a_batch_whether_validation_follows(tmp_path):
    class Asked(OneBatch):
        def on_train_batch_end(self, outputs, batch, batch_idx):
            loop = self.trainer.fit_loop
            asked.append(loop.epoch_loop._should_check_val_fx(loop._data_fetcher))

        def validation_step(self, batch, batch_idx):
            followed.append(len(asked))

    asked, followed = [], []
    limits = {"max_epochs": 1, "limit_val_batches": 1, "num_sanity_val_steps": 0, "val_check_interval": 2}
    module = Asked()
    module.val_dataloader = lambda: [torch.zeros(1)]
    fit(module, batches(), tmp_path, **limits)
    assert asked == [False, True, False, True]
    assert followed == [2, 4]


def test_lightning_puts_the_signal_handlers_back_that_were_there(tmp_path):
    class Handling(OneBatch):
        def on_train_start(self):
            signal.signal(signal.SIGTERM, lambda number, frame: None)
            signal.signal(signal.SIGUSR1, lambda number, frame: None)

    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)]
    fit(Handling(), batches(), tmp_path, max_epochs=1)
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)] == before


@pytest.mark.parametrize(("precision", "scales"), [("32-true", False), ("bf16-mixed", False), ("16-mixed", True)])
def test_lightning_keeps_the_gradient_scaler_in_its_precision_plugin(precision, scales):
    from lightning.pytorch.plugins.precision import MixedPrecision, Precision

    plugin = Precision() if precision == "32-true" else MixedPrecision(precision, "cpu")
    scaler = getattr(plugin, "scaler", None)
    assert isinstance(scaler, torch.amp.GradScaler) == scales
    assert (scaler is None) != scales


def test_lightnings_wandb_logger_starts_its_run_from_a_dictionary(tmp_path):
    pytest.importorskip("wandb")
    from lightning.pytorch.loggers import WandbLogger

    logger = WandbLogger(project="digits", save_dir=tmp_path, mode="offline", tags=["a"], id="b")
    assert logger._experiment is None
    expected = {"project": "digits", "dir": str(tmp_path), "mode": "offline", "tags": ["a"], "id": "b"}
    assert expected.items() <= logger._wandb_init.items()
    assert logger._wandb_init["resume"] == "allow"


def test_lightning_tells_processes_apart_by_an_environment_variable(monkeypatch):
    from lightning.fabric.plugins.environments import LightningEnvironment

    assert not LightningEnvironment().creates_processes_externally
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert LightningEnvironment().creates_processes_externally
    assert LightningEnvironment().local_rank() == 1
