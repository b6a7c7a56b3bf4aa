"""How many steps a call takes, and steps that cannot be recorded."""

import pytest
import torch
from composed_runs import FUSED, executed
from lightning import Callback
from recorded_calls import SYNCHRONIZING, RecordedCalls
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from gan.callbacks.budget import ImageBudget
from gan.callbacks.checkpoints import RunCheckpoints
from gan.callbacks.training_log import TrainingLog
from gan.config import instantiate
from gan.errors import UserError
from gan.execution import Execution
from gan.loggers import CSVMetrics


class Reads(TorchDispatchMode):
    """Counts what waits for a card: values that Python reads."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func._schema.name in SYNCHRONIZING
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("steps", [1, 4])
def test_values_are_read_where_a_row_is_due(tiny, tmp_path, steps):
    class Batches(Callback):
        reads = []

        def on_train_batch_start(self, trainer, *_):
            self.before = counted.count

        def on_train_batch_end(self, trainer, *_):
            self.reads.append((trainer.fit_loop.total_batch_idx, counted.count > self.before))

    run = ("trainer.limit_train_batches=12", "trainer.limit_val_batches=0", "trainer.log_every_n_steps=6")
    cfg = tiny(*FUSED, *run)
    csv_file = CSVMetrics(tmp_path / "metrics.csv")
    with Reads() as counted:
        executed(cfg, Execution(False, steps), TrainingLog(), batches := Batches(), logger=[csv_file])
    assert {batch for batch, read in batches.reads if read} <= {5, 7, 11}
    assert counted.count > 0


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_an_epoch_ends_with_its_last_batch_however_long_the_last_call_is(tiny, steps):
    class Ends(Callback):
        seen = []

        def on_train_batch_end(self, trainer, *_):
            self.seen.append(trainer.is_last_batch)

    executed(tiny("trainer.limit_train_batches=5", "trainer.max_epochs=2"), Execution(False, steps), ends := Ends())
    calls = len(ends.seen) // 2
    assert ends.seen == 2 * [*[False] * (calls - 1), True]
    assert torch.is_autocast_cache_enabled()  # the caller's again


def test_autocast_has_its_cache_again_after_a_run_that_failed(tiny):
    class Fails(Callback):
        def on_train_batch_end(self, *_):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        executed(tiny(), Execution(False, 4), Fails())
    assert torch.is_autocast_cache_enabled()


@pytest.mark.parametrize("steps", [1, 4])
def test_a_run_ends_with_the_max_steps_of_a_trainer_of_ones_own(tiny, steps):
    """Lightning counts the steps of both networks. Its log_every_n_steps=0, for no rows, leaves the epoch's last."""
    cfg = tiny("trainer.limit_val_batches=0", "trainer.log_every_n_steps=0", "+trainer.max_steps=5")
    module, trainer = executed(cfg, Execution(False, steps), TrainingLog())
    assert (module.images_seen, trainer.global_step) == (3 * 16, 6)


def test_calls_of_many_batches_end_where_something_is_due(tiny, tmp_path):
    """The end of an epoch, of the run's images, a validation within the epoch, and a grid every so many batches."""

    class Calls(TrainingLog):
        every_n_batches = 5
        batches, validated = [], []

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            self.batches.append((batch_idx, len(batch[0]) // 16))

        def on_validation_end(self, trainer, pl_module):
            self.validated.append(trainer.fit_loop.total_batch_idx + 1)

    run = ("trainer.limit_train_batches=12", "trainer.max_epochs=2", "+trainer.val_check_interval=6")
    executed(tiny(*run), Execution(False, 100), ImageBudget(352), calls := Calls())
    assert calls.batches == [(0, 5), (5, 1), (6, 4), (10, 2), (0, 3), (3, 3), (6, 2), (8, 2)]
    assert calls.validated == [6, 12, 18, 22]


def test_a_run_of_many_steps_a_call_can_be_resumed_with_one(tiny, tmp_path):
    """The checkpoint counts batches and steps, and an optimizer that was made to stay on a card comes back."""
    cfg = tiny("trainer.max_epochs=1", "trainer.limit_train_batches=6")
    checkpoints = RunCheckpoints(str(tmp_path / "checkpoints"), "val/fid_mnist")
    executed(cfg, Execution(True, 4, graphs=RecordedCalls), checkpoints)
    saved = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    progress = saved["loops"]["fit_loop"]["epoch_loop.batch_progress"]
    assert progress["current"]["processed"] == progress["total"]["completed"] == 6
    assert saved["global_step"] == 12
    assert not any(group.get("capturable") for state in saved["optimizer_states"] for group in state["param_groups"])


@pytest.mark.parametrize("wanted", ["auto", True])
def test_a_step_that_reads_its_values_runs_eagerly_or_is_refused(tiny, caplog, wanted):
    class Reading(nn.Module):
        def __init__(self, body):
            super().__init__()
            self.body = body

        def forward(self, images, labels=None):
            return self.body(images, labels) + float(images.sum() > 1e9)

    cfg = tiny("model.discriminator.norm=false")
    module, datamodule = instantiate(cfg.model), instantiate(cfg.data)
    module.discriminator = module.objectives.network = Reading(module.discriminator)
    module.execution = Execution(wanted, 4, graphs=RecordedCalls)
    trainer = instantiate(cfg.trainer, logger=False, enable_checkpointing=False)
    if wanted is True:
        with pytest.raises(UserError, match=r"cuda_graph=true: this step cannot be recorded"):
            trainer.fit(module, datamodule)
        return
    trainer.fit(module, datamodule)
    assert "one by one: this step cannot be recorded (operation not permitted" in caplog.text
    assert module.images_seen == 4 * 16
    assert all(parameter.requires_grad for parameter in module.discriminator.parameters())


@pytest.mark.parametrize(("graph", "steps", "key"), [("maybe", None, "cuda_graph"), ("auto", 0, "steps_per_execution")])
def test_impossible_values_are_refused(graph, steps, key):
    with pytest.raises(UserError, match=f"{key}="):
        Execution(graph, steps)
