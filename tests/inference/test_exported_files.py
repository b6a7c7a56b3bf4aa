"""Reading exported files: what is refused, and that nothing of a stranger's file runs."""

import json
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from gan.errors import UserError
from gan.inference import DigitGenerator
from gan.inference.exported_files import METADATA_KEY, read_export, write_safetensors
from gan.safetensors_files import unpack

pytestmark = pytest.mark.slow


def metadata_of(path):
    return json.loads(unpack(path)[1][METADATA_KEY])


def rewritten(source, target, **changes):
    """A safetensors export with other metadata."""
    metadata = metadata_of(source) | changes
    save_file(load_file(source), target, {METADATA_KEY: json.dumps(metadata)})
    return target


def hostile(generator):
    return {"hyper_parameters": {"generator": generator}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (hostile({"_target_": "os.system", "command": "touch owned"}), "os.system: only what is under gan.networks"),
        (hostile({"_target_": "gan.networks.layers.torch.load", "f": "x"}), "No module named"),
        (hostile({"_target_": "gan.networks.ConvDiscriminator", "channels": [8], "layers": [{}]}), "takes"),
        (
            hostile({"_target_": "gan.networks.ConvGenerator", "channels": [8], "layers": [1]}),
            r"layers\[0\]=1: a layer is",
        ),
        (hostile({}), "not a readable export"),
        (hostile(3), "not a readable export"),
        ({"hyper_parameters": None}, "its metadata is damaged: hyper_parameters"),
        ({"latent_dim": "8"}, "its metadata is damaged: latent_dim"),
        ({"latent_dim": 10**12}, "not a readable export"),
        ({"latent_dim": -1}, "model.generator: .*negative dimension"),
        ({"num_classes": None}, "not a readable export"),
        ({"image_channels": 3}, "not a readable export"),
        ({"format_version": 2}, "its format is version 2"),
    ],
)
def test_hostile_metadata_is_refused(files, tmp_path, changes, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = rewritten(files["conditional", "safetensors"], tmp_path / "hostile.safetensors", **changes)
    refused(path, message)
    assert not (tmp_path / "owned").exists()


def refused(path, message):
    with pytest.raises(UserError, match=message) as raised:
        read_export(path, "ckpt")
    assert str(raised.value).startswith(f"ckpt={path}: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("form", ["safetensors", "onnx"])
def test_truncated_and_foreign_files_are_refused(files, tmp_path, form):
    path = tmp_path / f"file.{form}"
    refused(path, "there is no such file")
    whole = files["conditional", form].read_bytes()
    for size in (0, 5, 1000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        refused(path, "not a readable export|not a generator.s file")
    path.write_bytes(b"\x80\x04\x95 a pickle")
    refused(path, "not a readable export")
    other = files["conditional", "onnx" if form == "safetensors" else "safetensors"]
    path.write_bytes(other.read_bytes())
    refused(path, "not a readable export")
    refused(tmp_path / "file.pt2", "exported files end in .safetensors or .onnx")


def test_weights_that_are_not_those_written_are_refused(files, tmp_path):
    source, path = files["conditional", "safetensors"], tmp_path / "damaged.safetensors"
    content = bytearray(source.read_bytes())
    content[-1] ^= 0x80  # the sign of a weight
    path.write_bytes(content)
    refused(path, "damaged, its weights are not those that were written")


def test_files_of_other_programs_are_refused(files, tmp_path):
    import onnx

    save_file(load_file(files["conditional", "safetensors"]), tmp_path / "other.safetensors")
    refused(tmp_path / "other.safetensors", "not a generator.s file of `gan train` or")
    model = onnx.load(files["conditional", "onnx"])
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "other.onnx")
    refused(tmp_path / "other.onnx", "not a generator.s file of `gan train` or")


def test_an_onnx_file_that_reads_files_of_this_machine_is_refused(files, tmp_path):
    import onnx

    secret = tmp_path / "secret"
    secret.write_bytes(bytes(10**5))
    (tmp_path / "inner").mkdir()
    model = onnx.load(files["conditional", "onnx"])
    weights = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    onnx.external_data_helper.set_external_data(weights, "../secret")
    weights.ClearField("raw_data")
    (tmp_path / "inner" / "model.onnx").write_bytes(model.SerializeToString())
    refused(tmp_path / "inner" / "model.onnx", "not a readable export")


def test_a_missing_onnxruntime_names_the_extra(files, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    refused(files["conditional", "onnx"], r"needs onnxruntime; .* -m pip install 'mnist-gan\[export\]'")


@pytest.mark.parametrize("form", ["ckpt", "safetensors"])
def test_a_users_network_takes_trust_and_may_have_tensors_that_are_not_saved(files, tmp_path, form):
    from my_gan import FadingGenerator

    shape = {"latent_dim": 8, "num_classes": None, "image_channels": 1}
    network = FadingGenerator(**shape, width=4)
    options = {**shape, "generator": {"_target_": "my_gan.FadingGenerator", "width": 4}}
    path = tmp_path / f"own.{form}"
    if form == "ckpt":
        weights = {f"generator_ema.{name}": value for name, value in network.state_dict().items()}
        torch.save({"state_dict": weights, "hyper_parameters": options, "epoch": 0, "images_seen": 0}, path)
    else:
        metadata = metadata_of(files["unconditional", "safetensors"]) | shape | {"hyper_parameters": options}
        write_safetensors(network, metadata, path, torch.float32)
    with pytest.raises(UserError, match=r"my_gan.FadingGenerator: only what is under gan.networks is built; trust="):
        DigitGenerator.open(path, device="cpu")
    again = DigitGenerator.open(path, device="cpu", trust=["my_gan"]).network
    z = torch.randn(3, 8)
    assert torch.equal(again(z), network(z))
