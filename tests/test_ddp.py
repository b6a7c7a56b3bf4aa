"""Two gloo processes on one CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

EXTENSION = Path(__file__).parent / "extension"


def test_a_mistake_of_two_processes_is_told_once(tmp_path):
    command = [sys.executable, "-m", "gan", "train", "hardware=cpu_ddp", "data=digits", "data.batch_size=7000"]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert finished.returncode != 0
    assert finished.stderr.count("data.batch_size=7000") == 1
    assert "Traceback" not in finished.stderr


def test_two_processes_train_an_epoch(tmp_path):
    command = [
        *(sys.executable, "-m", "gan", "train", "hardware=cpu_ddp", "data=digits", "data.batch_size=100"),
        *("trainer.max_epochs=1", "model.latent_dim=8", "model.instance_noise=0.1"),
        *("model.generator.channels=[8,8,8]", "model.discriminator.channels=[8,8,8]"),
        *(
            "~callbacks.plots",
            "logger=[csv,wandb]",
            "+callbacks.probe._target_=probe.Probe",
            f"+callbacks.probe.folder='{tmp_path}'",
        ),
    ]
    environment = {**os.environ, "PYTHONPATH": str(EXTENSION), "OMP_NUM_THREADS": "1"}
    finished = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
    assert finished.returncode == 0, finished.stderr

    first, second = (json.loads((tmp_path / f"rank_{rank}.json").read_text()) for rank in (0, 1))
    assert len(first["rows"]) == len(second["rows"]) == 6
    assert first["images_seen"] == second["images_seen"] == 1200
    seen = [[image for row in rank["rows"] for image in row["images"]] for rank in (first, second)]
    assert len(set(seen[0]) & set(seen[1])) <= 2  # a few digits of the set are the same picture twice
    assert len(seen[0]) + len(seen[1]) == 1200
    for one, other in zip(first["rows"], second["rows"], strict=True):
        assert one["noise"] != other["noise"]
        assert one["weights"] == other["weights"]
    (tracked,) = tmp_path.rglob("*.wandb")

    (run,) = (tmp_path / "outputs" / "train").iterdir()
    assert {path.name for path in (run / "checkpoints").iterdir()} == {
        "last.ckpt",
        "last.json",
        "best.ckpt",
        "best.json",
    }
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert tracked.name == f"run-{checkpoint['wandb_id']}.wandb"
