"""The folder of a run: one process at a time, and nothing of a run that is refused."""

import logging
import shutil
from pathlib import Path

import pytest

from gan.callbacks.training_log import TrainingLog
from gan.data import MNISTDataModule
from gan.errors import UserError
from gan.runs.folder import RunLog, held


def test_a_folder_that_is_in_use_is_refused(run, tmp_path, monkeypatch):
    refused = []

    def start_another(*_):
        with pytest.raises(UserError, match="another process writes there") as raised:
            run("ckpt_path=auto", "trainer.max_epochs=2")
        refused.append(raised)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingLog, "on_train_end", start_another)
        run("~callbacks.measures")
    assert refused
    run("~callbacks.measures", "ckpt_path=auto", "trainer.max_epochs=2")


def test_a_run_that_ended_while_another_one_began_there_is_not_overwritten(run, trained, tmp_path, monkeypatch):
    ended, setup = trained("unconditional"), MNISTDataModule.setup
    monkeypatch.setattr(MNISTDataModule, "setup", lambda data: (setup(data), shutil.copytree(ended, tmp_path / "run")))
    with pytest.raises(UserError, match="another run is there"):
        run()
    path = Path("checkpoints", "last.ckpt")
    assert (tmp_path / "run" / path).read_bytes() == (ended / path).read_bytes()


@pytest.mark.parametrize(("name", "left"), [("new", []), ("a/b", []), ("old", ["old"]), ("recorded", ["recorded"])])
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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_log_that_cannot_be_written_costs_one_warning(tmp_path, caplog, capfd, logging_kept):
    (tmp_path / "run.log").symlink_to("/dev/full")
    log = RunLog(str(tmp_path / "run.log"))
    log.accept()
    logging.getLogger().addHandler(log)
    for _ in range(3):
        logging.getLogger("gan").warning("a line")
    (told,) = (text for text in caplog.messages if text != "a line")
    assert told == f"{tmp_path / 'run.log'}: not written (No space left on device); the run continues without it"
    assert "Traceback" not in capfd.readouterr().err


def test_temporary_files_of_another_run_below_a_folder_stay(tmp_path):
    """It may be writing one: `hydra.run.dir=.` is the folder above those of all runs."""
    left = ".last.ckpt." + 32 * "0"
    own, other = tmp_path / "checkpoints" / left, tmp_path / "outputs" / "train" / "a" / "checkpoints" / left
    for path in (own, other):
        path.parent.mkdir(parents=True)
        path.touch()
    with held(tmp_path):
        pass
    assert (own.exists(), other.exists()) == (False, True)
