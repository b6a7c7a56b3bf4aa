"""Runs and other commands that a signal stops."""

import os
import signal

import pytest
from tiny_runs import FAST, same_weights
from tiny_runs import last_checkpoint as last

from gan.callbacks import checkpoints
from gan.errors import Stopped
from gan.stop_signals import ended_by
from gan.train import train

pytestmark = pytest.mark.slow


def test_a_signal_ends_the_block_that_names_it_as_an_exception_does():
    before, done = signal.getsignal(signal.SIGUSR1), []

    def block():
        with ended_by(signal.SIGUSR1):
            try:
                os.kill(os.getpid(), signal.SIGUSR1)
                done.append("went on")
            finally:
                os.kill(os.getpid(), signal.SIGUSR1)  # a second one is ignored
                done.append("cleaned up")

    with pytest.raises(Stopped) as stopped:
        block()
    assert (stopped.value.code, done) == (143, ["cleaned up"])
    assert signal.getsignal(signal.SIGUSR1) == before


SIGNALS = ((signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 143), (signal.SIGHUP, 129))


def test_a_run_that_is_told_to_stop_saves_first_and_resumes_to_the_same_end(
    run, trained, tmp_path, at, caplog, monkeypatch, without_nohup
):
    """By each signal in turn: in the middle of an epoch, at its last batch, after its end, and once more."""
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO", "gan")
    before = {each: signal.getsignal(each) for each, _ in SIGNALS}
    for (number, code), batch in zip(SIGNALS, (5, 7, 8, 10), strict=True):
        caplog.clear()
        at(batch, lambda number=number: os.kill(os.getpid(), number))
        with pytest.raises(Stopped) as stopped:
            run("trainer.max_epochs=3", "ckpt_path=auto")
        assert stopped.value.code == code
        images = (batch + 1) * 16
        assert last(tmp_path / "run")["images_seen"] == images
        line = next(line for line in caplog.messages if line.startswith("stopped"))
        where = f"{tmp_path}/run/checkpoints/last.ckpt"
        assert f"after {images} images, all of them in {where}; resume with: gan train " in line
        assert {each: signal.getsignal(each) for each in before} == before
    at(-1, None)
    run("trainer.max_epochs=3", "ckpt_path=auto")
    whole = trained("three_epochs")
    assert same_weights(last(whole), last(tmp_path / "run"))
    lines = [(folder / "metrics.csv").read_text(encoding="utf-8").count("\n") for folder in (whole, tmp_path / "run")]
    assert lines[0] == lines[1]


def test_a_run_under_nohup_ignores_a_closed_terminal(run, tmp_path, at):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        at(2, lambda: os.kill(os.getpid(), signal.SIGHUP))
        run("~callbacks.measures")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert last(tmp_path / "run")["images_seen"] == 64


def test_a_second_interrupt_ends_at_once(run, tmp_path, at):
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    at(5, twice)
    with pytest.raises(KeyboardInterrupt):
        run("trainer.max_epochs=2", "~callbacks.measures")
    assert last(tmp_path / "run")["images_seen"] == 64  # of the first epoch's end


def test_a_signal_in_the_last_validation_ends_the_process_once_the_run_is_complete(tiny, tmp_path, monkeypatch):
    end = checkpoints.RunCheckpoints.on_validation_end
    monkeypatch.setattr(
        checkpoints.RunCheckpoints,
        "on_validation_end",
        lambda *given: (end(*given), os.kill(os.getpid(), signal.SIGTERM))[0],
    )
    own = f"{{_target_: lightning.pytorch.callbacks.ModelCheckpoint, dirpath: '{tmp_path}'}}"
    cfg = tiny(*FAST, f"+callbacks.own={own}")
    cfg.callbacks = dict(reversed(cfg.callbacks.items()))  # it comes before the run's own
    with pytest.raises(Stopped) as stopped:
        train(cfg)
    assert stopped.value.code == 143
    assert (tmp_path / "run" / "summary.json").is_file()
