"""Things done at a batch of a run."""

import pytest
from lightning import Callback


class At(Callback):
    """Does something at the end of a batch of the run."""

    def __init__(self, batch, action):
        self.batch, self.action = batch, action

    def on_train_batch_end(self, trainer, *_):
        if trainer.fit_loop.total_batch_idx == self.batch:
            self.action()


@pytest.fixture
def at(monkeypatch):
    """A function that has something done at a batch of each run from then on, before the checkpoints are written."""
    from gan.train import command

    built = command._built

    def plan(batch, action):
        def with_action(cfg, group):
            return [*built(cfg, group), *([At(batch, action)] if group == "callbacks" else [])]

        monkeypatch.setattr(command, "_built", with_action)

    return plan
