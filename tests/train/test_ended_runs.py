"""A run that has reached its end is not trained any further when it is resumed; files that it lacks are written."""

import json
import shutil

import pytest
from tiny_runs import same_weights

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("settings", "end"),
    [(["trainer.limit_train_batches=1.0"], ["max_images=100"]), (["trainer.max_epochs=3"], ["trainer.max_epochs=1"])],
    ids=["within an epoch", "with an earlier end than what is done"],
)
def test_a_run_without_its_last_files_gets_those_of_an_undisturbed_one(run, tmp_path, settings, end):
    _, measured = run(*end, *settings)
    path = tmp_path / "run" / "summary.json"
    before = json.loads(path.read_text())
    path.unlink()
    module, metrics = run("ckpt_path=auto", *settings, *end)
    after = json.loads(path.read_text())
    assert {**after, "minutes": 0} == {**before, "minutes": 0}
    assert after["floor"].keys() == {name for name in measured if name.startswith("val/")}
    assert metrics == pytest.approx(measured)
    assert module.images_seen == after["images_seen"]


EARLY = "{_target_: lightning.pytorch.callbacks.EarlyStopping, monitor: val/fid_mnist, patience: 1, min_delta: 1e9}"


@pytest.mark.parametrize("batches", [(), ("+trainer.val_check_interval=3",)], ids=["between", "within"])
def test_a_run_that_early_stopping_has_ended_trains_no_further_with_it(run, tmp_path, caplog, batches):
    caplog.set_level("INFO", "gan")
    settings = ("trainer.max_epochs=3", *batches)
    _, measured = run(*settings, f"+callbacks.early={EARLY}")
    last, summary = tmp_path / "run" / "checkpoints" / "last.ckpt", tmp_path / "run" / "summary.json"
    before = last.read_bytes(), {**json.loads(summary.read_text()), "minutes": 0}
    module, metrics = run(*settings, f"+callbacks.early={EARLY}", "ckpt_path=auto")
    assert metrics == pytest.approx(measured)
    assert (last.read_bytes(), {**json.loads(summary.read_text()), "minutes": 0}) == before
    assert [line for line in caplog.messages if line.startswith("ended")] == [
        "ended       by EarlyStopping of val/fid_mnist; without it, or with more patience, the run resumes"
    ] * 2
    assert run(*settings, "ckpt_path=auto")[0].images_seen > module.images_seen


def test_a_run_that_early_stopping_has_ended_resumes_with_more_patience(run):
    settings = ("trainer.max_epochs=9", "trainer.limit_train_batches=1")
    for patience, epochs in ((1, 2), (3, 4), (2, 4)):
        module, _ = run(*settings, f"+callbacks.early={EARLY.replace('1,', f'{patience},')}", "ckpt_path=auto")
        assert module.images_seen == 16 * epochs


@pytest.mark.parametrize(
    "settings",
    [
        ("trainer.max_epochs=2", f"+callbacks.early={EARLY}"),
        ("trainer.max_epochs=9", "max_images=128", f"+callbacks.early={EARLY}"),
        ("+trainer.max_time={milliseconds: 1}", "trainer.limit_train_batches=1"),
    ],
    ids=["epochs", "images", "time"],
)
def test_what_comes_at_the_end_of_a_complete_run_has_not_ended_it(run, caplog, settings):
    caplog.set_level("INFO", "gan")
    run(*settings)
    assert not [line for line in caplog.messages if line.startswith("ended")]


def test_a_run_that_ends_again_at_once_keeps_the_record_of_the_settings_it_was_trained_with(run, tmp_path):
    early, config = f"+callbacks.early={EARLY}", tmp_path / "run" / "config.yaml"
    run("trainer.max_epochs=9", early)
    before = config.read_bytes()
    run("trainer.max_epochs=8", early, "ckpt_path=auto")  # its early stopping ends it
    assert config.read_bytes() == before
    (tmp_path / "run" / "summary.json").unlink()
    run("trainer.max_epochs=2", early, "ckpt_path=auto")  # as after a kill: its last files are written
    assert config.read_bytes() == before
    run("trainer.max_epochs=3", "ckpt_path=auto")
    assert config.read_bytes() != before


def test_a_finished_run_is_left_as_it_is(run, tmp_path):
    for overrides in (("max_images=100", "trainer.limit_train_batches=1.0"), ("trainer.max_epochs=1",)):
        folder = overrides[0]
        module, _ = run("~callbacks.measures", *overrides, folder=folder)
        last, summary = tmp_path / folder / "checkpoints" / "last.ckpt", tmp_path / folder / "summary.json"
        before = last.read_bytes(), summary.read_bytes()
        again, metrics = run(*overrides, "ckpt_path=auto", folder=folder)
        assert (last.read_bytes(), summary.read_bytes()) == before
        assert same_weights({"state_dict": module.state_dict()}, {"state_dict": again.state_dict()})
        assert metrics["images_seen"] == module.images_seen
    alone = shutil.copy(last, tmp_path / "alone.ckpt")
    again, metrics = run("trainer.max_epochs=1", f"ckpt_path={alone}", folder="fresh")
    assert same_weights({"state_dict": module.state_dict()}, {"state_dict": again.state_dict()})
    assert metrics == {}
