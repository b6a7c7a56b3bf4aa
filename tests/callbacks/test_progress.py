"""The progress of a run: one bar on a terminal, lines elsewhere."""

import io
import logging
import re
import sys

import pytest
from rich.progress_bar import ProgressBar as Bar

from gan.callbacks import progress
from gan.callbacks.progress import LiveLines, ProgressBar

BAR = (
    "~callbacks.progress_bar",
    "+callbacks.bar._target_=gan.callbacks.progress.ProgressBar",
    "+callbacks.bar.refresh_rate=1",
)
FAST = ("~callbacks.measures",)
RUN = (*BAR, "+trainer.enable_progress_bar=true", "trainer.max_epochs=5", "max_images=160")


@pytest.fixture
def run_log(tmp_path):
    handler = logging.FileHandler(tmp_path / "run.log")
    logging.getLogger().addHandler(handler)
    yield tmp_path / "run.log"
    logging.getLogger().removeHandler(handler)
    handler.close()


def test_one_bar_for_the_whole_run_with_its_measures_and_newest_grid(
    tiny, terminal, caplog, tmp_path, monkeypatch, run_log
):
    from gan.train import train

    monkeypatch.chdir(tmp_path)
    screen = terminal()
    with caplog.at_level(logging.INFO, logger=progress.log.name):
        train(tiny("~callbacks.plots", *RUN))
    written = screen.getvalue()
    shares = [int(text) for text in re.findall(r"(\d+)%", screen.plain())]
    assert shares == sorted(shares)
    assert {shares[0], shares[-1]} == {0, 100}
    assert "val/fid_mnist" in written
    assert re.search(r"epoch 2 .* 96 of 160 images \d:\d\d:\d\d left", screen.plain())
    bar, measures, newest = screen.last_frame()[:3]
    assert re.search(r"^epoch 3 .*100% 160 of 160 images 0:00:00 left", bar)
    assert "val/fid_mnist" in measures
    assert newest.strip() == "run/samples/epoch_0003_images_0000000160.png"
    assert "\x1b[?25h" in written  # the cursor is back
    assert not [record for record in caplog.records if record.message.startswith("epoch ")]
    lines = [line for line in run_log.read_text().splitlines() if line.startswith("epoch ")]
    assert [line.split()[:3] for line in lines] == [["epoch", "1", "64"], ["epoch", "2", "128"], ["epoch", "3", "160"]]


def test_an_interrupted_run_gives_the_terminal_back(run, terminal, monkeypatch):
    def interrupt(self, *arguments):
        raise RuntimeError("lost")

    monkeypatch.setattr(ProgressBar, "on_validation_start", interrupt)
    screen = terminal()
    with pytest.raises(RuntimeError, match="lost"):
        run(*RUN, *FAST)
    assert sys.stdout is screen
    assert "\x1b[?25h" in screen.getvalue()


@pytest.mark.parametrize("term", ["dumb", "xterm"])
def test_elsewhere_lines_take_the_place_of_the_bar(run, terminal, capsys, caplog, monkeypatch, term):
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys, "stdout", terminal() if term == "dumb" else io.StringIO())
    with caplog.at_level(logging.INFO, logger=progress.log.name):
        run(*RUN)
    written = sys.stdout.getvalue() + capsys.readouterr().err
    assert not {"\r", "\x1b", "%"} & set(written)
    lines = [record.message for record in caplog.records if record.message.startswith("epoch ")]
    assert [re.match(r"epoch (\d) +(\d+) images", line).groups() for line in lines] == [
        ("1", "64"),
        ("2", "128"),
        ("3", "160"),
    ]
    assert "train/images_per_second" in lines[0]
    assert "val/fid_mnist" in lines[0]


def test_without_updates_there_is_neither_bar_nor_line(run, terminal, caplog):
    screen = terminal()
    with caplog.at_level(logging.INFO, logger=progress.log.name):
        run(*RUN[:2], *RUN[3:], *FAST, "+callbacks.bar.refresh_rate=0")
    assert screen.getvalue() == ""
    assert not [record for record in caplog.records if record.message.startswith("epoch ")]


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [(("trainer.max_epochs=-1", "trainer.max_time=00:00:00:30"), 30), (("max_images=48",), 6)],
)
def test_the_time_left_is_that_of_the_limit_that_ends_the_run(run, monkeypatch, terminal, limits, seconds):
    left = []

    def recorded(self, trainer, pl_module, *rest):
        now = self._started + 3
        monkeypatch.setattr(progress.time, "perf_counter", lambda: now)
        left.append((pl_module.images_seen, *self._position(trainer, pl_module.images_seen)))
        trainer.should_stop = True

    monkeypatch.setattr(ProgressBar, "on_train_batch_end", recorded)
    screen = terminal()
    run(*RUN[:-1], *FAST, *limits)
    assert "left" in screen.getvalue()
    seen, share, time_left = left[0]
    assert seen == 16
    assert 0 < share < 1
    assert seconds - 5 < time_left <= seconds


@pytest.mark.parametrize("no_color", [False, True])
def test_colours_are_left_out_on_request(terminal, monkeypatch, no_color):
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    screen, lines = terminal(), LiveLines()
    assert LiveLines.possible()
    lines.start()
    lines.update(Bar(total=2, completed=1), refresh=True)
    lines.stop()
    assert bool(re.search(r"\x1b\[[\d;]*3\d[;m]", screen.getvalue())) != no_color


def test_what_is_logged_meanwhile_is_above_the_bar(terminal, monkeypatch):
    screen = terminal()
    handler = logging.StreamHandler(sys.stdout)
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    lines = LiveLines()
    lines.start()
    lines.update("the bar", refresh=True)
    logging.getLogger("gan").warning("a warning")
    lines.stop()
    assert screen.plain().index("a warning") < screen.plain().rindex("the bar")
    assert screen.last_frame()[0].strip() == "the bar"
    assert handler.stream is screen is sys.stdout
