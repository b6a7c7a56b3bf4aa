"""Steps that are recorded and replayed, with a stand-in for CUDA graphs that runs on the CPU."""

import csv
from pathlib import Path

import pytest
import torch
from composed_runs import FUSED, executed
from lightning import Callback
from recorded_calls import RecordedCalls

from gan.callbacks.training_log import TrainingLog
from gan.cuda_graphs import CudaGraphs
from gan.errors import UserError
from gan.execution import Execution
from gan.loggers import CSVMetrics

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
ON_A_CARD = ("hardware=gpu", "trainer.precision=32-true", "+trainer.benchmark=false")


def rows(path):
    with Path(path).open(encoding="utf-8") as file:
        return [{**row, "train/images_per_second": ""} for row in csv.DictReader(file)]


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
        module, trainer = executed(cfg, execution, TrainingLog(), logger=[CSVMetrics(path)])
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


def test_what_cannot_be_recorded_is_named(tiny):
    class Watching(Callback):
        def on_before_optimizer_step(self, *_):
            """A replay would not call it."""

    anomalies, stepwise = tiny("trainer.detect_anomaly=true"), tiny()
    stepwise.model.generator_optimizer = {"_target_": "torch.optim.Adafactor"}
    for cfg, callback, reason in (
        (anomalies, Callback(), "detect_anomaly"),
        (stepwise, Callback(), "Adafactor"),
        (tiny(), Watching(), "Watching is called in each step"),
    ):
        with pytest.raises(UserError, match=rf"cuda_graph=true: .*{reason}"):
            executed(cfg, Execution(True, graphs=RecordedCalls), callback)
    with pytest.raises(UserError, match=r"cuda_graph=true: Watched is called in each step \(on_after_backward\)"):
        executed(tiny("model._target_=watched_module.Watched"), Execution(True, graphs=RecordedCalls))
    with pytest.raises(UserError, match=r"cuda_graph=true: graphs need a cuda device, not cpu; auto runs without"):
        executed(tiny(), Execution(True))
