"""The rows of a run's steps, and what is said of its discriminator."""

from types import SimpleNamespace

from gan.callbacks import training_log
from gan.callbacks.training_log import TrainingLog
from gan.loggers.csv import read_rows
from gan.losses import BinaryCrossEntropy, Wasserstein

WON = {"train/accuracy_real": 1.0, "train/accuracy_fake": 1.0, "train/logit_real": 9.0, "train/logit_fake": -9.0}


def test_validation_inside_an_epoch_takes_no_time_of_the_images(run, tmp_path, monkeypatch):
    clock = SimpleNamespace(perf_counter=lambda: clock.now)
    clock.now = 0.0
    monkeypatch.setattr(training_log, "time", clock)
    from gan.callbacks.validation import ValidationMeasures
    from gan.module import GAN

    step, measure = GAN.training_step, ValidationMeasures.on_validation_epoch_end

    def timed(function, seconds):
        def call(*arguments):
            clock.now += seconds
            return function(*arguments)

        return call

    monkeypatch.setattr(GAN, "training_step", timed(step, 1.0))
    monkeypatch.setattr(ValidationMeasures, "on_validation_epoch_end", timed(measure, 100.0))
    run("+trainer.val_check_interval=2")
    rates = [row["train/images_per_second"] for row in read_rows(tmp_path / "run" / "metrics.csv")]
    assert [float(rate) for rate in rates if rate] == [16.0] * 4


def test_the_metrics_of_a_run_have_the_newest_values_of_the_generator_however_many_steps_a_call_takes(run):
    settings = ("model.discriminator_steps=2", "trainer.limit_train_batches=5")
    found = []
    for steps in (1, 5):
        _, metrics = run(*settings, f"steps_per_execution={steps}", folder=str(steps))
        del metrics["train/images_per_second"]
        found.append(metrics)
    assert found[0] == found[1]


def test_a_discriminator_that_has_won_is_named_once(caplog):
    log, module = TrainingLog(), SimpleNamespace(objectives=SimpleNamespace(loss=BinaryCrossEntropy()))
    for row in [WON] * 19 + [{**WON, "train/accuracy_fake": 0.9}] + [WON] * 50:
        log._watch_discriminator(module, row)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("the discriminator has won: ")


def test_a_critic_without_a_threshold_never_wins(caplog):
    log, module = TrainingLog(), SimpleNamespace(objectives=SimpleNamespace(loss=Wasserstein()))
    for _ in range(100):
        log._watch_discriminator(module, WON)
    assert not caplog.messages
