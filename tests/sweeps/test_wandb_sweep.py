"""The file for sweeps of Weights & Biases."""

from pathlib import Path

import pytest
import yaml
from offline_runs import offline_runs
from omegaconf import OmegaConf
from tiny_runs import FAST

from gan.config import compose
from gan.train import train

pytestmark = pytest.mark.slow

SWEEP = Path(__file__).parents[2] / "deploy" / "wandb" / "sweep.yaml"


def sweep():
    return yaml.safe_load(SWEEP.read_text())


def test_the_sweep_file_calls_gan_train():
    assert sweep()["metric"] == {"name": "val/fid_mnist", "goal": "minimize"}
    assert sweep()["command"][:3] == ["${env}", "gan", "train"]
    assert sweep()["command"][-1] == "${args_no_hyphens}"


def test_the_sweep_file_stops_bad_runs_at_validations_that_they_have():
    """W&B's server counts the rows that have the metric: one for each validation, see the first test."""
    stop, cfg = sweep()["early_terminate"], compose("train", sweep()["command"][3:-1])
    validations = cfg.max_images // 55_000  # an epoch of MNIST each
    bands = [stop["min_iter"] * stop["eta"] ** n for n in range(4)]
    assert (stop["type"], bands) == ("hyperband", [2, 4, 8, 16])
    assert bands[-1] < validations == 20


@pytest.mark.parametrize("end", [0, -1])
def test_both_ends_of_each_sweep_parameter_train(tiny, monkeypatch, tmp_path, end):
    pytest.importorskip("wandb")
    chosen = {
        key: (space.get("values") or [space["min"], space["max"]])[end] for key, space in sweep()["parameters"].items()
    }
    published = compose("train", sweep()["command"][3:-1])
    assert all(OmegaConf.select(published, key) is not None for key in chosen)
    monkeypatch.setenv("WANDB_SWEEP_ID", "abc")
    arguments = [*sweep()["command"][3:-1], "wandb.mode=offline", *(f"{key}={value}" for key, value in chosen.items())]
    module, _ = train(tiny(*FAST, *arguments, "max_images=64"))
    assert module.images_seen >= 64
    (run,) = offline_runs(tmp_path)
    assert (run.run.run_group, run.run.job_type) == ("abc", "sweep")
    assert run.curve("val/fid_mnist")
