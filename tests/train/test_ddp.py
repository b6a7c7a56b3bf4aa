"""Two gloo processes on one CPU."""

import json
import os
import re
import signal
import subprocess

import pytest
import torch
from tiny_runs import NARROW, WITH_EXTENSION

from gan.config import compose
from gan.data import Digits, MNISTDataModule
from gan.errors import UserError
from gan.hardware import settle_hardware, slurm_plugins
from gan.metrics import ImageMeasures, build_extractor
from gan.module import GAN, VALIDATION_SEED
from gan.randomness import latents

QUICK = (*NARROW, "~callbacks.plots", "~callbacks.samples", "callbacks.measures.measures=[fid]")


def two_processes(tmp_path, *arguments, python, start=("-m",)):
    """Runs `gan train hardware=cpu_ddp`; it returns when the last process that holds its output has ended."""
    command = [python, *start, "gan", "train", "hardware=cpu_ddp", "data=digits", *arguments]
    environment = {**os.environ, "PYTHONPATH": WITH_EXTENSION}
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)


def fid_of_one_process(path):
    module = GAN.load_from_checkpoint(path)
    digits = MNISTDataModule(Digits(), val_size=compose("train", ["data=digits"]).data.val_size)
    digits.setup()
    measures = ImageMeasures(build_extractor("mnist"), ["fid"])
    measures.real.add(digits.val_images)
    z = latents(VALIDATION_SEED, 0, len(digits.val_images), module.latent_dim)
    measures.generated.add(module.generate(z, digits.val_labels))
    return measures.compute()["fid"]


@pytest.mark.process
def test_a_mistake_of_two_processes_is_told_once(tmp_path, python):
    finished = two_processes(tmp_path, "data.batch_size=7000", python=python)
    assert finished.returncode != 0
    assert finished.stderr.count("data.batch_size=7000") == 1
    assert "Traceback" not in finished.stderr


@pytest.mark.process
def test_two_processes_train_an_epoch(tmp_path, python):
    finished = two_processes(
        tmp_path,
        *NARROW,
        *("data.batch_size=100", "trainer.max_epochs=1", "model.instance_noise=0.1", "model.num_classes=10"),
        *("~callbacks.plots", "logger=[csv,wandb]"),
        *("+callbacks.probe._target_=probe.Probe", f"+callbacks.probe.folder='{tmp_path}'"),
        python=python,
    )
    assert finished.returncode == 0, finished.stderr

    first, second = (json.loads((tmp_path / f"rank_{rank}.json").read_text()) for rank in (0, 1))
    assert len(first["rows"]) == len(second["rows"]) == 6
    assert first["images_seen"] == second["images_seen"] == 1200
    seen = [[image for row in rank["rows"] for image in row["images"]] for rank in (first, second)]
    assert len(set(seen[0]) & set(seen[1])) <= 2  # a few digits of the set are the same picture twice
    assert len(seen[0]) + len(seen[1]) == 1200
    for one, other in zip(first["rows"], second["rows"], strict=True):
        assert not set(one["noise"]) & set(other["noise"])
        assert one["noise"]
        assert one["weights"] == other["weights"]
    (tracked,) = tmp_path.rglob("*.wandb")

    (run,) = (tmp_path / "outputs" / "train").iterdir()
    assert {path.name for path in (run / "checkpoints").iterdir()} == {
        "last.ckpt",
        "last.json",
        "best.ckpt",
        "best.json",
    }
    last = run / "checkpoints" / "last.ckpt"
    measured = json.loads(last.with_suffix(".json").read_text())["metrics"]["val/fid_mnist"]
    assert measured == pytest.approx(fid_of_one_process(last), abs=1e-4)
    checkpoint = torch.load(last, weights_only=True)
    assert tracked.name == f"run-{checkpoint['wandb_id']}.wandb"


@pytest.mark.process
def test_a_killed_process_ends_the_other(tmp_path, python):
    """Within the seconds that gloo or Lightning take to notice, not when the process group's timeout is over."""
    lost = ("+callbacks.lost._target_=lost.Lost", "+callbacks.lost.rank=1")
    finished = two_processes(tmp_path, *QUICK, "data.batch_size=16", *lost, python=python)
    assert finished.returncode in (1, -signal.SIGKILL)  # by gloo's error, by Lightning's observer
    assert "lost another of this run's 2 processes" in finished.stderr or "terminated with code -9" in finished.stderr
    assert not list(tmp_path.rglob("*.ckpt"))


@pytest.mark.process
def test_two_processes_stop_at_the_same_batch_if_one_is_told_to(tmp_path, python):
    """It is the second process alone that gets the signal. A resumed run ends as an undisturbed one."""
    run = (*QUICK, "data.batch_size=100", "trainer.max_epochs=1", "ckpt_path=auto")
    told = ("+callbacks.told._target_=lost.Lost", "+callbacks.told.rank=1", "+callbacks.told.number=15")
    stopped = two_processes(tmp_path, *run, *told, "+callbacks.told.batch=2", "hydra.run.dir=run", python=python)
    assert stopped.returncode == 143, stopped.stderr
    assert stopped.stdout.count("after 600 images, all of them in ") == 1
    for folder in ("run", "whole"):
        assert two_processes(tmp_path, *run, f"hydra.run.dir={folder}", python=python).returncode == 0
    resumed, whole = (
        torch.load(tmp_path / folder / "checkpoints" / "last.ckpt", weights_only=True) for folder in ("run", "whole")
    )
    assert resumed["images_seen"] == whole["images_seen"] == 1200
    assert all(torch.equal(value, whole["state_dict"][name]) for name, value in resumed["state_dict"].items())


@pytest.mark.process
def test_torchrun_starts_the_processes(tmp_path, python):
    """Of a run that ends in the middle of an epoch: its checkpoint has the random states of both."""
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m")
    run = (*QUICK, "data.batch_size=200", "max_images=800")
    finished = two_processes(tmp_path, *run, "hydra.run.dir=run", start=torchrun, python=python)
    assert finished.returncode == 0, finished.stderr
    assert "processes: 2" in finished.stdout
    checkpoint = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["images_seen"] == 800
    (first,), (second,) = checkpoint["random_states"]
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    ("environment", "overrides", "words"),
    [
        ({"SLURM_STEP_ID": "0"}, ["hardware=cpu_ddp"], "SLURM_NTASKS=2: say to sbatch or srun how many on each node"),
        ({"SLURM_NTASKS_PER_NODE": "2"}, ["hardware=cpu_ddp"], "srun starts them"),
        (
            {"SLURM_NTASKS_PER_NODE": "2", "SLURM_STEP_ID": "0"},
            ["hardware=cpu"],
            "trainer.devices=1, trainer.num_nodes=1: the number of processes is 1, but srun",
        ),
        ({"SLURM_NTASKS": "1"}, ["hardware=cpu_ddp"], "has started 1"),
    ],
)
def test_processes_that_do_not_fit_are_a_mistake(monkeypatch, environment, overrides, words):
    for name, value in {"SLURM_NTASKS": "2", "SLURM_JOB_NAME": "gan", **environment}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=re.escape(words)):
        settle_hardware(compose("train", overrides).trainer)


def test_lightning_leaves_requeueing_to_others(monkeypatch):
    assert slurm_plugins() == []
    monkeypatch.setenv("SLURM_NTASKS", "1")
    monkeypatch.setenv("SLURM_JOB_NAME", "gan")
    (environment,) = slurm_plugins()
    assert not environment.auto_requeue
