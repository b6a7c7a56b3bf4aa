"""The precision that `auto` becomes, and whether a compiler is there."""

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from gan.errors import UserError
from gan.hardware import BF16_WORK, check_compiler, settle_hardware, settle_precision

MODULE = nn.Linear(100, 100, bias=False)
LARGE = int(BF16_WORK / 10_000)


@pytest.mark.parametrize(
    ("accelerator", "capability", "batch_size", "precision"),
    [
        ("cpu", (9, 0), LARGE, "32-true"),
        ("mps", (9, 0), LARGE, "32-true"),
        ("gpu", (9, 0), LARGE, "bf16-mixed"),
        ("gpu", (9, 0), LARGE // 2, "32-true"),
        ("gpu", (7, 5), LARGE, "32-true"),
    ],
)
def test_large_steps_take_bf16_where_the_gpu_has_it(monkeypatch, accelerator, capability, batch_size, precision):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    trainer = OmegaConf.create({"accelerator": accelerator, "precision": "auto"})
    settle_precision(trainer, MODULE, batch_size)
    assert trainer.precision == precision


def test_a_precision_that_was_given_stays():
    trainer = OmegaConf.create({"accelerator": "gpu", "precision": "16-mixed"})
    settle_precision(trainer, MODULE, LARGE)
    assert trainer.precision == "16-mixed"


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    for backend in (torch.cuda, torch.backends.mps):
        monkeypatch.setattr(backend, "is_available", lambda: False)
    trainer = OmegaConf.create({"accelerator": "gpu", "precision": "auto"})
    with pytest.raises(UserError, match=r"trainer\.accelerator=gpu: not on this machine; it has auto, cpu$"):
        settle_hardware(trainer)


@pytest.mark.slow
def test_a_missing_compiler_is_one_line():
    from torch._inductor import config

    none = config.patch({"cpp.cxx": (None, "/nonexistent/g++")})
    with none, pytest.raises(UserError, match=r"compile=true: torch\.compile does not work here") as raised:
        check_compiler("cpu")
    assert "\n" not in str(raised.value)


def trainer_of(**flags):
    return OmegaConf.create({"accelerator": "cpu", "precision": "32-true", "devices": 1, **flags})


@pytest.mark.parametrize(
    ("flags", "joined"),
    [({"devices": 2}, True), ({"devices": 2, "strategy": "auto"}, True), ({"strategy": "ddp"}, True), ({}, False)],
)
def test_several_processes_get_the_settings_of_every_ddp_run(flags, joined):
    trainer = trainer_of(**flags)
    OmegaConf.set_struct(trainer, True)
    settle_hardware(trainer)
    assert ("strategy" in trainer) == joined
    assert not joined or trainer.strategy.find_unused_parameters


def test_several_machines_need_a_launcher():
    with pytest.raises(UserError, match=r"trainer\.num_nodes=2: srun or torchrun starts"):
        settle_hardware(trainer_of(num_nodes=2))
