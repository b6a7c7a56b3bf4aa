"""The progress of a run: a bar on a terminal, lines elsewhere."""

import io
import logging
import re
import sys

import pytest

from gan.callbacks import progress
from gan.callbacks.progress import ProgressBar

BAR = ("~callbacks.progress_bar", "+callbacks.bar._target_=gan.callbacks.progress.ProgressBar")
RUN = (*BAR, "+trainer.enable_progress_bar=true", "trainer.max_epochs=5", "max_images=160")


@pytest.fixture
def totals(monkeypatch):
    """Of each epoch: the last position of its bar and the bar's total."""
    seen = []
    end = ProgressBar.on_train_epoch_end

    def recorded(self, *arguments):
        seen.append((self.train_progress_bar.n, self.train_progress_bar.total))
        end(self, *arguments)

    monkeypatch.setattr(ProgressBar, "on_train_epoch_end", recorded)
    return seen


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_of_a_run_with_a_budget_is_full_at_its_end(run, totals, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Terminal())
    run(*RUN)
    assert totals == [(4, 4), (4, 4), (2, 2)]


def test_elsewhere_lines_take_the_place_of_the_bar(run, capsys, caplog, monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with caplog.at_level(logging.INFO, logger=progress.log.name):
        run(*RUN)
    assert "%|" not in sys.stdout.getvalue() + capsys.readouterr().err
    lines = [record.message for record in caplog.records if record.message.startswith("epoch ")]
    assert [re.match(r"epoch (\d) +(\d+) images", line).groups() for line in lines] == [
        ("1", "64"),
        ("2", "128"),
        ("3", "160"),
    ]
    assert "train/images_per_second" in lines[0]
    assert "val/fid_mnist" in lines[0]
