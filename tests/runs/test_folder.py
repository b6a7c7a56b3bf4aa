"""The folder of a run: one process at a time, and nothing of a run that is refused."""

import logging

import pytest

from gan.callbacks.training_log import TrainingLog
from gan.errors import UserError
from gan.runs.folder import RunLog, held


def test_a_folder_that_is_in_use_is_refused(run, tmp_path, monkeypatch):
    refused = []

    def start_another(*_):
        with pytest.raises(UserError, match="another process trains there") as raised:
            run("ckpt_path=auto", "trainer.max_epochs=2")
        refused.append(raised)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingLog, "on_train_end", start_another)
        run("~callbacks.measures")
    assert refused
    run("~callbacks.measures", "ckpt_path=auto", "trainer.max_epochs=2")


@pytest.mark.parametrize(("name", "left"), [("new", []), ("old", ["old"]), ("recorded", ["recorded"])])
def test_a_folder_of_a_refused_run_is_deleted_unless_it_was_there_or_has_settings(tmp_path, name, left):
    def refuse():
        with held(tmp_path / name):
            if name == "recorded":
                (tmp_path / name / "config.yaml").touch()
            raise UserError("refused")

    if name == "old":
        (tmp_path / name).mkdir()
    with pytest.raises(UserError, match="refused"):
        refuse()
    assert [path.name for path in tmp_path.iterdir()] == left


def test_a_log_keeps_its_lines_until_the_run_is_accepted(tmp_path):
    log = RunLog(str(tmp_path / "run.log"))
    log.handle(logging.makeLogRecord({"msg": "before"}))
    assert not (tmp_path / "run.log").exists()
    log.accept()
    log.handle(logging.makeLogRecord({"msg": "after"}))
    log.close()
    assert (tmp_path / "run.log").read_text() == "before\nafter\n"
