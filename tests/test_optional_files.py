"""A file that a run can do without costs a warning, once for each folder, and not the training."""

import logging

import pytest
import torch

from gan.callbacks.plots import TrainingPlots
from gan.callbacks.sample_grids import SampleGrid
from gan.optional_files import OptionalFiles


def test_a_picture_that_cannot_be_made_costs_a_warning(tmp_path, fit, tiny_module, monkeypatch, caplog):
    module = tiny_module()
    (tmp_path / "samples").write_text("a file in the folder's place")
    monkeypatch.setattr(TrainingPlots, "_interpolation", lambda *_: torch.ones(1) @ torch.ones(2))
    with caplog.at_level(logging.WARNING, logger="gan"):
        fit(tmp_path, SampleGrid(seed=0), TrainingPlots(), epochs=2, module=module)
    assert module.images_seen == 40
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["real_and_generated.png"]
    first, second = (record.message for record in caplog.records if "not written" in record.message)
    assert first.startswith(f"{tmp_path}/samples/epoch_0000_images_0000000000.png: not written (")
    assert second.startswith(f"{tmp_path}/plots/interpolation.png: not written (")


def test_the_reason_is_one_line_and_what_is_written_well_is_silent(tmp_path, caplog):
    files = OptionalFiles()
    for path, error in (
        ("a/1", OSError(28, "No space left on device")),
        ("a/2", OSError(28, "No space left on device")),
        ("b/1", ValueError("two\nlines")),
        ("c/1", AssertionError()),
        ("d/1", None),
    ):
        with files.writing(tmp_path / path) as given:
            assert given == tmp_path / path
            if error:
                raise error
    reasons = {"a": "No space left on device", "b": "two lines", "c": "AssertionError"}
    end = "; the run continues without it"
    assert caplog.messages == [f"{tmp_path}/{name}/1: not written ({why}){end}" for name, why in reasons.items()]


def test_an_error_that_is_none_of_the_expected_is_raised(tmp_path, caplog):
    files = OptionalFiles(expected=OSError)
    with files.writing(tmp_path / "a"):
        raise ValueError("of Lightning") from OSError(28, "No space left on device")
    with pytest.raises(TypeError, match="a mistake"), files.writing(tmp_path / "a"):
        raise TypeError("a mistake")
    assert caplog.messages == [f"{tmp_path}/a: not written (No space left on device); the run continues without it"]
