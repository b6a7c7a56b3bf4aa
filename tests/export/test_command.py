"""`gan export`: what it writes, and what it refuses."""

import json
import os
import sys

import pytest
import torch
from exports import MODELS
from safetensors.torch import load_file
from tiny_generators import save_checkpoint

from gan.config.bounds import BOUNDS
from gan.errors import UserError
from gan.export.command import DTYPES
from gan.inference import DigitGenerator
from gan.inference.exported_files import METADATA_KEY, READERS, read_export
from gan.networks import ConvGenerator
from gan.randomness import latents
from gan.safetensors_files import unpack

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["generator.safetensors", "generator.md", "generator.png"])
def test_what_is_there_stays(exported, tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(UserError, match="is there already; overwrite=true"):
        exported("unconditional", f"output='{tmp_path / 'generator.safetensors'}'")
    assert (tmp_path / name).read_text() == "mine"
    exported("unconditional", f"output='{tmp_path / 'generator.safetensors'}'", "overwrite=true")
    assert (tmp_path / name).read_bytes() != b"mine"


def test_what_another_command_writes_meanwhile_stays(exported, tmp_path, monkeypatch):
    def write(*arguments):
        (tmp_path / "generator.md").write_text("theirs")
        return 0.0

    monkeypatch.setattr("gan.export.command._write", write)
    with pytest.raises(UserError, match=r"generator.md: it is there already, of another command"):
        exported("unconditional", f"output='{tmp_path / 'generator.safetensors'}'")
    assert [path.read_text() for path in tmp_path.glob("generator.*")] == ["theirs"]


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
        (["license=' '"], "license= : an identifier such as mit"),
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


def test_a_network_whose_images_differ_from_call_to_call_is_told_so(exported, monkeypatch):
    monkeypatch.setattr(ConvGenerator, "forward", lambda self, z, labels=None: torch.rand(len(z), 1, 28, 28))
    with pytest.raises(UserError, match=r"^ckpt=\S+: its images differ from call to call; does its network draw"):
        exported("unconditional")


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


def images_of(network, generator, count):
    labels = generator.labels(None, 0, count)
    with torch.inference_mode():
        return network(latents(5, 0, count, generator.latent_dim), labels)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("form", "tolerance"), [("safetensors", 0.0), ("onnx", 1e-4)])
def test_an_export_has_the_images_of_its_checkpoint(files, checkpoints, model, form, tolerance):
    generator = DigitGenerator.from_checkpoint(checkpoints[model], device="cpu")
    network, facts = read_export(files[model, form], "ckpt")
    for count in (1, 3, 7):
        images = images_of(network, generator, count)
        assert images.dtype == torch.float32
        assert images.shape == (count, 1, 28, 28)
        assert (images - images_of(generator.network, generator, count)).abs().max() <= tolerance
    info = generator.info()
    assert facts.pop("hyper_parameters") == generator.facts["hyper_parameters"]
    assert facts == {name: info[name] for name in facts}
    assert DigitGenerator.from_export(files[model, form], device="cpu").info() == info


def test_an_export_has_the_directions_of_its_checkpoint(files, checkpoints, monkeypatch):
    monkeypatch.setattr("gan.inference.directions.NUM_IMAGES", 512)
    paths = [checkpoints["conditional"], files["conditional", "safetensors"], files["conditional", "onnx"]]
    original, *exported = [DigitGenerator.open(path, device="cpu").directions for path in paths]
    for directions in exported:
        assert directions.keys() == original.keys() != set()
        assert all(torch.allclose(directions[name], original[name], rtol=0.02, atol=0.01) for name in original)


def test_reading_draws_no_random_number_and_leaves_no_gradient(files):
    before = torch.get_rng_state()
    network, _ = read_export(files["conditional", "safetensors"], "ckpt")
    assert torch.equal(torch.get_rng_state(), before)
    assert all(
        value.data_ptr() % 64 == 0 for value in network.state_dict().values()
    )  # or additions run in another order
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_half_precision_halves_the_file_and_computes_in_float32(exported, files, checkpoints, tmp_path):
    half = exported("conditional", "dtype=float16", f"output='{tmp_path / 'half.safetensors'}'")
    floating = [value for value in load_file(half).values() if value.is_floating_point()]
    assert {value.dtype for value in floating} == {torch.float16}
    whole = load_file(files["conditional", "safetensors"])
    assert 2 * sum(value.nbytes for value in floating) == sum(v.nbytes for v in whole.values() if v.is_floating_point())
    generator = DigitGenerator.from_checkpoint(checkpoints["conditional"], device="cpu")
    network, facts = read_export(half, "ckpt")
    images = images_of(network, generator, 3)
    assert images.dtype == torch.float32
    torch.testing.assert_close(images, images_of(generator.network, generator, 3), rtol=0, atol=0.01)
    version = DigitGenerator(network, facts, "cpu").info()["version"]
    assert json.loads(unpack(half)[1][METADATA_KEY])["version"] == version != generator.info()["version"]


def test_an_onnx_file_is_one_file_that_names_its_inputs_and_no_path_of_this_machine(files):
    import onnx

    model = onnx.load(files["conditional", "onnx"], load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in model.graph.input
    }
    assert shapes == {"latents": ["batch", 8], "labels": ["batch"]}
    assert [value.name for value in model.graph.output] == ["images"]
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    assert os.getcwd().encode() not in files["conditional", "onnx"].read_bytes()


def test_an_exported_file_can_be_exported_again(exported, files, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    again = exported(files["conditional", "safetensors"], "output='~/again.safetensors'")
    assert again == tmp_path / "again.safetensors"
    assert again.read_bytes() == files["conditional", "safetensors"].read_bytes()
    with pytest.raises(UserError, match="an ONNX file cannot be exported again"):
        exported(files["conditional", "onnx"])


def test_each_allowed_format_and_type_is_known():
    assert [f".{form}" for form in BOUNDS["export"]["format"].values] == list(READERS)
    assert BOUNDS["export"]["dtype"].values == tuple(DTYPES)
