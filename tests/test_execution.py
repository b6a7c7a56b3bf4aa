"""Steps that are recorded and replayed, with a stand-in for CUDA graphs that runs on the CPU."""

import csv
from pathlib import Path

import pytest
import torch
from lightning import Callback
from recorded_calls import SYNCHRONIZING, RecordedCalls
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from gan.callbacks.budget import ImageBudget
from gan.callbacks.checkpoints import RunCheckpoints
from gan.callbacks.training_log import TrainingLog
from gan.config import instantiate
from gan.cuda_graphs import CudaGraphs
from gan.errors import UserError
from gan.execution import Execution
from gan.loggers import CSVMetrics

FUSED = tuple(f"+model.{name}_optimizer.fused=true" for name in ("generator", "discriminator"))
CONDITIONAL = (
    "model=conditional",
    "model.generator.channels=[16,16,8]",
    "model.discriminator.channels=[8,8,8,8]",
    "model.penalties.r1.every=3",
    "model.classification_images=100",
)
UNCONDITIONAL = (
    *("model.instance_noise=0.1", "model.instance_noise_images=100", "model.discriminator_steps=2"),
    *(f"+model.{name}_optimizer.eps=1e-4" for name in ("generator", "discriminator")),  # a gradient of zero stays zero
)


def trained(cfg, execution, *callbacks, logger=False):
    torch.manual_seed(0)
    module, datamodule = instantiate(cfg.model), instantiate(cfg.data)
    module.execution = execution
    trainer = instantiate(cfg.trainer, callbacks=list(callbacks), logger=logger)
    trainer.fit(module, datamodule)
    return module, trainer


def rows(path):
    with Path(path).open(encoding="utf-8") as file:
        return [{**row, "train/images_per_second": ""} for row in csv.DictReader(file)]


ON_A_CARD = ("hardware=gpu", "trainer.precision=32-true", "+trainer.benchmark=false")


@pytest.mark.slow
@pytest.mark.parametrize("options", [CONDITIONAL, UNCONDITIONAL])
@pytest.mark.parametrize(
    ("device", "graphs", "tolerance"),
    [((), RecordedCalls, 1e-3), pytest.param(ON_A_CARD, CudaGraphs, 2e-2, marks=pytest.mark.cuda)],
    ids=["recorded", "cuda"],
)
def test_replayed_steps_are_the_eager_ones(tiny, tmp_path, options, device, graphs, tolerance):
    """Rates, noise, fading weights, random numbers and the average change from replay to replay; all rows are there."""
    run = ("trainer.limit_train_batches=16", "trainer.max_epochs=2", "trainer.log_every_n_steps=3")
    schedule = "model.generator_schedule={_target_: gan.schedules.LinearDecay, total_steps: null, start: 0.0}"
    cfg = tiny(*options, *run, *FUSED, *device, schedule, "model.ema_half_life=50", narrow=options is UNCONDITIONAL)
    cfg.trainer.limit_val_batches = 0
    found = {}
    for name, execution in {
        "eager": Execution(False),
        "replayed": Execution(True, steps_per_execution=7, graphs=graphs),
    }.items():
        path = tmp_path / name / "metrics.csv"
        RecordedCalls.replays = 0
        module, trainer = trained(cfg, execution, TrainingLog(), logger=[CSVMetrics(path)])
        labels = torch.arange(20) % 10 if module.num_classes else None
        z = torch.randn(20, module.latent_dim, generator=torch.Generator().manual_seed(0))
        images = module.to("cpu").generate(z, labels)
        found[name] = (images.int(), rows(path), trainer.global_step, module.images_seen, RecordedCalls.replays)
    eager, replayed = found["eager"], found["replayed"]
    assert (replayed[4] > 20) == (graphs is RecordedCalls)
    assert eager[4] == 0
    assert eager[2:4] == replayed[2:4]
    assert len(eager[1]) == len(replayed[1]) == 10
    for expected, row in zip(eager[1], replayed[1], strict=True):
        assert {name: float(value) for name, value in row.items() if value} == pytest.approx(
            {name: float(value) for name, value in expected.items() if value}, rel=tolerance, abs=1e-5
        )
    assert (eager[0] - replayed[0]).abs().max() <= (1 if graphs is RecordedCalls else 16)


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
        trained(cfg, Execution(False, steps), TrainingLog(), batches := Batches(), logger=[csv_file])
    assert {batch for batch, read in batches.reads if read} <= {5, 7, 11}
    assert counted.count > 0


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_an_epoch_ends_with_its_last_batch_however_long_the_last_call_is(tiny, steps):
    class Ends(Callback):
        seen = []

        def on_train_batch_end(self, trainer, *_):
            self.seen.append(trainer.is_last_batch)

    trained(tiny("trainer.limit_train_batches=5", "trainer.max_epochs=2"), Execution(False, steps), ends := Ends())
    calls = len(ends.seen) // 2
    assert ends.seen == 2 * [*[False] * (calls - 1), True]


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
    trained(tiny(*run), Execution(False, 100), ImageBudget(352), calls := Calls())
    assert calls.batches == [(0, 5), (5, 1), (6, 4), (10, 2), (0, 3), (3, 3), (6, 2), (8, 2)]
    assert calls.validated == [6, 12, 18, 22]


def test_a_run_of_many_steps_a_call_can_be_resumed_with_one(tiny, tmp_path):
    """The checkpoint counts batches and steps, and an optimizer that was made to stay on a card comes back."""
    cfg = tiny("trainer.max_epochs=1", "trainer.limit_train_batches=6")
    checkpoints = RunCheckpoints(str(tmp_path / "checkpoints"), "val/fid_mnist")
    trained(cfg, Execution(True, 4, graphs=RecordedCalls), checkpoints)
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


def test_what_cannot_be_recorded_is_named(tiny):
    anomalies, stepwise = tiny("trainer.detect_anomaly=true"), tiny()
    stepwise.model.generator_optimizer = {"_target_": "torch.optim.Adafactor"}
    for cfg, reason in ((anomalies, "detect_anomaly"), (stepwise, "Adafactor")):
        with pytest.raises(UserError, match=rf"cuda_graph=true: .*{reason}"):
            trained(cfg, Execution(True, graphs=RecordedCalls))
    with pytest.raises(UserError, match=r"cuda_graph=true: graphs need a cuda device, not cpu; auto runs without"):
        trained(tiny(), Execution(True))


@pytest.mark.parametrize(("graph", "steps", "key"), [("maybe", None, "cuda_graph"), ("auto", 0, "steps_per_execution")])
def test_impossible_values_are_refused(graph, steps, key):
    with pytest.raises(UserError, match=f"{key}="):
        Execution(graph, steps)
