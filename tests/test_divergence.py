"""A value that is not finite ends a run at its step, or takes it back to the last checkpoint."""

import os
import signal

import pytest
import torch

from gan.divergence import FiniteWatch
from gan.errors import DivergedError, Stopped, UserError
from gan.module import GAN

pytestmark = pytest.mark.slow


def found(**changed):
    values = {"loss_discriminator": 1.0, "gradient_norm_discriminator": 2.0, "loss_generator": 0.5}
    return {name: torch.tensor(value) for name, value in {**values, **changed}.items()}


def test_the_first_step_and_its_values_are_named():
    watch = FiniteWatch(torch.device("cpu"), 100, gradients=True)
    watch.add(found())
    watch.check()
    watch.add(found(loss_discriminator=float("nan"), gradient_norm_discriminator=float("inf")))
    watch.add(found(loss_generator=float("nan")))
    with pytest.raises(
        DivergedError, match="at batch 102 of the run: loss_discriminator and gradient_norm_discriminator not finite"
    ):
        watch.check()


def test_gradients_of_16_mixed_may_be_infinite():
    watch = FiniteWatch(torch.device("cpu"), 0, gradients=False)
    watch.add(found(gradient_norm_discriminator=float("inf")))
    watch.check()


@pytest.fixture
def diverging(monkeypatch):
    """The generator's loss is not a number from a number of images on, as often as `times` says."""
    left, step = {"times": 0}, GAN.step

    def spoilt(self, *given):
        values = step(self, *given)
        if self.images_seen >= 96 and left["times"]:
            left["times"] -= 1
            values["loss_generator"] = torch.tensor(float("nan"))
        return values

    monkeypatch.setattr(GAN, "step", spoilt)
    return left


def test_a_run_ends_at_that_step_and_keeps_its_checkpoint(run, tmp_path, diverging, caplog):
    caplog.set_level("INFO", "gan")
    diverging["times"] = 1
    with pytest.raises(DivergedError, match="diverged at batch 7 of the run: loss_generator not finite"):
        run("trainer.max_epochs=3")
    assert torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["images_seen"] == 64
    assert any("last.ckpt is whole, of 64 images" in line for line in caplog.messages)


def test_a_run_goes_back_with_half_the_rates(run, tmp_path, diverging, caplog):
    diverging["times"] = 2
    module, metrics = run("trainer.max_epochs=3", "on_divergence=rewind")
    assert module.images_seen == 192
    assert metrics["train/lr_generator"] == pytest.approx(2e-4 / 4)
    assert len([line for line in caplog.messages if line.startswith("rewound")]) == 2
    _, metrics = run("trainer.max_epochs=4", "ckpt_path=auto")
    assert metrics["train/lr_generator"] == pytest.approx(2e-4 / 4)


def test_a_run_goes_back_three_times_at_most(run, diverging):
    diverging["times"] = 100
    with pytest.raises(DivergedError):
        run("trainer.max_epochs=3", "on_divergence=rewind")
    assert diverging["times"] == 96


def test_a_run_that_was_told_to_stop_does_not_go_back(run, diverging, monkeypatch):
    diverging["times"] = 1

    def told(module, *given):
        if module.images_seen == 96:  # the step that diverges
            os.kill(os.getpid(), signal.SIGTERM)
        return training_step(module, *given)

    training_step = GAN.training_step
    monkeypatch.setattr(GAN, "training_step", told)
    with pytest.raises(Stopped):
        run("trainer.max_epochs=3", "on_divergence=rewind", "~callbacks.measures")


def test_only_a_single_process_goes_back(run):
    for several in ("trainer.devices=2", "trainer.num_nodes=2"):
        with pytest.raises(UserError, match=f"on_divergence=rewind: only with one process, not {several}"):
            run("on_divergence=rewind", f"++{several}")
