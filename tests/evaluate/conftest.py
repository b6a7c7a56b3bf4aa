"""Tiny runs and embedded digits to measure."""

import pytest
from tiny_runs import RUNS

from gan.config import compose
from gan.data import Digits, MNISTDataModule
from gan.evaluate import evaluate

SMALL = (
    "data=digits",
    "device=cpu",
    "num_samples=400",
    "metrics.measures=[fid,is,precision,recall,digit_accuracy,class_balance]",
)


@pytest.fixture(scope="module")
def data():
    data = MNISTDataModule(Digits(), val_size=200)
    data.prepare_data()
    data.setup()
    return data


@pytest.fixture
def checkpoints(trained):
    """Last checkpoints of a conditional, an unconditional and a three-channel run."""
    return {name: trained(name) / "checkpoints" / "last.ckpt" for name in RUNS}


@pytest.fixture
def measured(tmp_path):
    """A function from checkpoints and overrides to the table of an evaluation and its folder."""

    def run(ckpt, *overrides):
        names = ckpt if isinstance(ckpt, list) else [ckpt]
        text = ",".join(f"'{name}'" for name in names)
        folder = tmp_path / "evaluation"
        cfg = compose("evaluate", [*SMALL, f"ckpt=[{text}]", f"output_dir='{folder}'", *overrides])
        return evaluate(cfg), folder

    return run
