"""Each flag of Lightning's Trainer either works or is refused in one line: one entry for each in these tables."""

import csv
import inspect
import json
import re
from functools import lru_cache

import lightning
import pytest
import torch
from lightning import Callback
from omegaconf import OmegaConf

from gan.config import compose
from gan.config.early_checks import check
from gan.config.trainer_flags import FLAGS, REFUSED, check_one_process
from gan.errors import UserError
from gan.train import command

WORKS = {
    "accelerator": "cpu",
    "strategy": "auto",
    "devices": 1,
    "num_nodes": 1,
    "precision": "32-true",
    "max_epochs": 2,
    "min_epochs": 2,
    "max_time": "00:01:00:00",
    "limit_train_batches": 0.06,  # 4 of 75
    "limit_val_batches": 2,
    "val_check_interval": 0.5,
    "check_val_every_n_epoch": 2,
    "num_sanity_val_steps": 1,
    "log_every_n_steps": 2,
    "enable_progress_bar": False,
    "deterministic": "warn",
    "benchmark": True,
    "inference_mode": False,
    "profiler": "simple",
    "detect_anomaly": True,
}
WRONG = {  # of a flag that works, or is one of the program's own
    "accelerator": ("tpu", "auto, cpu, gpu, cuda"),
    "strategy": ("fsdp", "auto, ddp, ddp_find_unused_parameters_true, or"),
    "devices": (0, "how many, or auto"),
    "num_nodes": (0, "a whole number, 1 or more"),
    "precision": (64, "auto, 32-true"),
    "max_epochs": (1.5, "a whole number"),
    "min_epochs": (2, "at most trainer.max_epochs=1"),
    "max_time": ("5 minutes", "days:hours:minutes:seconds"),
    "limit_train_batches": (2.5, "a whole number of batches, or a fraction"),
    "limit_val_batches": (-1, "a number, 0 or more"),
    "val_check_interval": ("00:00:05:00", "a number, above 0"),
    "check_val_every_n_epoch": (0, "a whole number, 1 or more"),
    "num_sanity_val_steps": (-2, "a whole number, -1 or more"),
    "log_every_n_steps": (0, "a whole number, 1 or more"),
    "enable_progress_bar": (None, "true or false"),
    "deterministic": ("maybe", "true, false, warn, or null"),
    "benchmark": ("yes", "true or false"),
    "inference_mode": (3, "true or false"),
    "profiler": ("xla", "simple, advanced, pytorch"),
    "detect_anomaly": ("on", "true or false"),
    "default_root_dir": ("elsewhere", "hydra.run.dir=elsewhere names it"),
}
NEVER = {flag: (7, refused.instead) for flag, refused in REFUSED.items()}


@lru_cache
def composed():
    return compose("train", ["hardware=cpu", "trainer.max_epochs=1"])


def with_flag(flag, value):
    cfg = composed().copy()
    OmegaConf.update(cfg, f"trainer.{flag}", value, force_add=True)
    return cfg


def test_each_flag_of_lightnings_trainer_has_one_entry():
    flags = inspect.signature(lightning.Trainer.__init__).parameters.keys() - {"self"}
    assert not WORKS.keys() & NEVER.keys()
    assert flags == FLAGS == {*WORKS, *NEVER, "default_root_dir"}
    assert flags == {*WRONG, *NEVER}


@pytest.mark.parametrize(("flag", "value", "line"), [(flag, *case) for flag, case in {**WRONG, **NEVER}.items()])
def test_a_value_that_cannot_work_is_one_line(flag, value, line):
    with pytest.raises(UserError) as raised:
        check("train", with_flag(flag, value))
    assert str(raised.value).startswith(f"trainer.{flag}={value}: ")
    assert line in str(raised.value)
    assert "\n" not in str(raised.value)


def test_values_that_change_nothing_pass():
    for nth in range(max(len(refused.harmless) for refused in REFUSED.values())):
        cfg = composed().copy()
        for flag, refused in REFUSED.items():
            OmegaConf.update(cfg, f"trainer.{flag}", refused.harmless[nth % len(refused.harmless)], force_add=True)
        check("train", cfg)


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["+trainer.max_epoch=3"], "trainer.max_epoch: no such key; did you mean max_epochs or"),
        (["trainer.default_root_dir=null"], "trainer.default_root_dir=None: a run has one folder"),
        (["+trainer.strategy=ddp_spawn"], "trainer.strategy=ddp_spawn: auto"),
        (["+trainer.strategy=deepspeed_stage_2"], "trainer.strategy=deepspeed_stage_2: auto"),
        (["+trainer.strategy._target_=lightning.pytorch.strategies.FSDPStrategy"], "trainer.strategy=lightning.pyto"),
        (["hardware=cpu_ddp", "trainer.strategy.find_unused_parameters=false"], "trainer.strategy: find_unused"),
        (["hardware=gpu", "trainer.devices=[0,0]"], "trainer.devices=[0, 0]: how many, -1 for all"),
        (["hardware=cpu", "trainer.devices=-1"], "trainer.devices=-1: how many, or auto"),
        (["+trainer.enable_progress_bar=false"], "trainer.enable_progress_bar=False: only with ~callbacks.progress"),
        (["+trainer.min_epochs=2", "max_images=100"], "trainer.min_epochs=2: only without max_images=100"),
        (["+trainer.min_epochs=2", "trainer.max_epochs=1"], "trainer.min_epochs=2: at most trainer.max_epochs=1"),
        (["trainer.limit_train_batches=2.5"], "trainer.limit_train_batches=2.5: a whole number of batches, or a frac"),
        (["+trainer.val_check_interval=1.5"], "trainer.val_check_interval=1.5: a whole number of batches, or"),
        (
            ["+trainer.val_check_interval=0.5", "trainer.check_val_every_n_epoch=null"],
            "trainer.val_check_interval=0.5: a whole number of batches where",
        ),
        (["trainer.max_time=8"], "trainer.max_time=8: days"),
        (["trainer.max_time={minutes: nan}"], "trainer.max_time={'minutes': nan}: days"),
        (["trainer.max_time={weeks: many}"], "trainer.max_time={'weeks': 'many'}: days"),
        (["trainer.max_time=00:00:00:00"], "trainer.max_time=00:00:00:00: days"),
        (["trainer.profiler={dirpath: x}"], "trainer.profiler={'dirpath': 'x'}: {_target_"),
    ],
)
def test_flags_that_do_not_fit_each_other_are_one_line(overrides, line):
    with pytest.raises(UserError) as raised:
        check("train", compose("train", overrides))
    assert str(raised.value).startswith(line)


@pytest.mark.parametrize("value", ["00:00:30:00", "{minutes: 30}", "null"])
def test_durations_are_accepted(value):
    check("train", compose("train", [f"trainer.max_time={value}"]))


def test_a_variable_that_lightning_would_read_is_refused(monkeypatch):
    monkeypatch.setenv("PL_TRAINER_FAST_DEV_RUN", "1")
    with pytest.raises(UserError, match=r"PL_TRAINER_FAST_DEV_RUN=1: unset it"):
        check("train", compose("train"))


class Seen(Callback):
    """What the flags did, as seen from inside the run."""

    def __init__(self):
        self.validated, self.inference, self.anomaly, self.warn_only = [], set(), set(), set()
        self.benchmark = set()

    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0):
        self.inference.add(torch.is_inference_mode_enabled())
        self.validated.append((trainer.sanity_checking, pl_module.images_seen, len(batch[0])))

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.anomaly.add(torch.is_anomaly_enabled())
        self.warn_only.add(torch.is_deterministic_algorithms_warn_only_enabled())
        self.benchmark.add(torch.backends.cudnn.benchmark)


def test_all_flags_that_work_do_so_in_one_run(run, monkeypatch, tmp_path):
    seen, built = Seen(), command._built
    monkeypatch.setattr(
        command,
        "_built",
        lambda cfg, group, kind: [*built(cfg, group, kind), *([seen] if group == "callbacks" else [])],
    )
    given = [f"++trainer.{flag}={'null' if value is None else value}" for flag, value in WORKS.items()]
    module, _ = run(*given, "data.val_batch_size=20")
    trainer = module.trainer
    assert module.images_seen == 2 * 4 * 16
    assert (trainer.current_epoch, trainer.min_epochs, trainer.world_size) == (2, 2, 1)
    assert (trainer.accelerator.name(), trainer.precision) == ("cpu", "32-true")
    # One batch before training; then twice in the second epoch, after two and four of its batches, two batches each.
    assert seen.validated == [(True, 0, 20), *[(False, 96, 20)] * 2, *[(False, 128, 20)] * 2]
    assert (seen.inference, seen.anomaly, seen.warn_only, seen.benchmark) == ({False}, {True}, {True}, {True})
    with (tmp_path / "run" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    logged = [int(row["images_seen"]) for row in rows if row["train/loss_generator"]]
    assert logged == [32, 64, 96, 128]
    measured = {row["images_seen"]: row["val/fid_mnist"] for row in rows if row["val/fid_mnist"]}
    assert len(measured) == len(set(measured.values())) == 2
    best = json.loads((tmp_path / "run" / "checkpoints" / "best.json").read_text())
    assert float(measured[str(best["images_seen"])]) == pytest.approx(best["best_score"])
    assert "run_training_batch" in (tmp_path / "run" / "fit-profile.txt").read_text()


def test_a_job_of_a_sweep_has_one_process():
    for fits in (["hardware=cpu"], ["hardware=gpu", "trainer.devices=[3]"]):
        check_one_process(compose("train", fits))
    for wrong in ("trainer.devices=2", "trainer.devices=[0, 1]", "trainer.num_nodes=2"):
        with pytest.raises(UserError, match=f"^{re.escape(wrong)}: a job of a sweep has one process"):
            check_one_process(compose("train", ["hardware=gpu", f"++{wrong.replace(' ', '')}"]))
