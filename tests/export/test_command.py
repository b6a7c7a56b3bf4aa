"""`gan export`: what it writes, and what it refuses."""

import sys

import pytest
import torch
from tiny_generators import save_checkpoint

from gan.errors import UserError

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["generator.safetensors", "generator.md", "generator.png"])
def test_what_is_there_stays(exported, tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(UserError, match="is there already; overwrite=true"):
        exported("unconditional", f"output='{tmp_path / 'generator.safetensors'}'")
    assert (tmp_path / name).read_text() == "mine"
    exported("unconditional", f"output='{tmp_path / 'generator.safetensors'}'", "overwrite=true")
    assert (tmp_path / name).read_bytes() != b"mine"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["format=pt2"], "format=pt2"),
        (["dtype=int8"], "dtype=int8"),
        (["overwrite=no"], "overwrite=no"),
        (["format=onnx", "dtype=float16"], "dtype=float16: format=onnx takes float32"),
        (["output=5"], "output=5: with format=safetensors"),
        (["measures=5"], "measures=5: not a metrics.json"),
        (["output=digits.onnx", "format=safetensors"], "output=digits.onnx: with format=safetensors"),
        (["output=digits.onnx", "dtype=float16"], "dtype=float16: format=onnx takes float32"),
        (["license=5"], "license=5: an identifier such as mit"),
        (["output=/dev/null/digits.safetensors"], "cannot be written there"),
        (["measures=nowhere.json"], "measures=nowhere.json: not a metrics.json"),
        (["ckpt=nowhere.ckpt"], "ckpt=nowhere.ckpt: there is no file"),
    ],
)
def test_mistakes_are_one_line(exported, overrides, message):
    with pytest.raises(UserError, match=message) as raised:
        exported("unconditional", *overrides)
    assert "\n" not in str(raised.value)


def test_hyperparameters_that_are_not_plain_values_are_one_line(exported, checkpoints, tmp_path):
    checkpoint = torch.load(checkpoints["unconditional"], weights_only=True)
    checkpoint["hyper_parameters"]["more"] = torch.ones(2)
    torch.save(checkpoint, tmp_path / "odd.ckpt")
    with pytest.raises(UserError, match="the hyperparameters are not plain values"):
        exported(tmp_path / "odd.ckpt")
    assert not list((tmp_path / "export").iterdir())


def test_nothing_is_left_of_an_export_that_differs(exported, tmp_path, monkeypatch):
    folder = tmp_path / "new"
    monkeypatch.setattr(
        "gan.export.command.read_export", lambda *_: (lambda z, labels: torch.full((len(z), 1, 28, 28), 2.0), {})
    )
    with pytest.raises(UserError, match="differ from the checkpoint's by"):
        exported("unconditional", f"output='{folder / 'g.safetensors'}'")
    assert list(folder.iterdir()) == []


def test_one_class_that_half_precision_cannot_hold_is_found(exported, tmp_path):
    path = save_checkpoint(tmp_path / "large.ckpt")
    checkpoint = torch.load(path, weights_only=True)
    tables = [value for value in checkpoint["state_dict"].values() if value.shape == (10, 4)]
    tables[0][9] = 1e5
    torch.save(checkpoint, path)
    with pytest.raises(UserError, match="differ from the checkpoint's by nan"):
        exported(path, "dtype=float16", f"output='{tmp_path / 'new' / 'half.safetensors'}'")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_missing_onnxruntime_names_the_extra(exported, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"format=onnx needs onnxruntime; .* -m pip install"):
        exported("conditional", "format=onnx")
