"""`gan export`, and reading what it wrote."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file

from gan.config import compose
from gan.config.bounds import BOUNDS
from gan.errors import UserError
from gan.export import export
from gan.export.command import DTYPES
from gan.export.formats import FORMATS, write_safetensors
from gan.inference import DigitGenerator
from gan.inference.exported_files import METADATA_KEY, read_export, read_export_metadata
from gan.randomness import latents

MODELS = ("conditional", "unconditional")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkpoints(trained, tmp_path_factory):
    """A conditional and an unconditional run's last checkpoint, in folders that may be written to."""
    root = tmp_path_factory.mktemp("runs")
    return {name: shutil.copytree(trained(name), root / name) / "checkpoints" / "last.ckpt" for name in MODELS}


@pytest.fixture
def exported(checkpoints, tmp_path):
    """A function from a model or a file, and overrides, to the path of its export."""

    def run(ckpt, *overrides):
        fixed = [f"ckpt='{checkpoints.get(ckpt, ckpt)}'", f"output_dir='{tmp_path / 'export'}'"]
        return export(compose("export", [*fixed, *overrides]))

    return run


@pytest.fixture(scope="module")
def files(checkpoints, tmp_path_factory):
    """Exports of both models in both formats, by (model, format)."""
    folder = tmp_path_factory.mktemp("exports")
    paths = {}
    for model, ckpt in checkpoints.items():
        for form in ("safetensors", "onnx"):
            output = folder / f"{model}_{form}.{form}"
            overrides = [f"ckpt='{ckpt}'", f"format={form}", f"output='{output}'", f"output_dir='{folder}'"]
            paths[model, form] = export(compose("export", overrides))
    return paths


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
    assert read_export_metadata(half, "ckpt")["version"] == version != generator.info()["version"]


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


def test_an_exported_file_can_be_exported_again(exported, files, tmp_path):
    again = exported(files["conditional", "safetensors"], f"output='{tmp_path / 'again.safetensors'}'")
    assert again.read_bytes() == files["conditional", "safetensors"].read_bytes()
    with pytest.raises(UserError, match="an ONNX file cannot be exported again"):
        exported(files["conditional", "onnx"])


def test_the_card_without_measures(exported, checkpoints, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = exported("unconditional")
    assert path == tmp_path / "export" / "generator.safetensors"
    front, text = split_card(path)
    assert front.keys().isdisjoint({"license", "datasets", "model-index"})
    assert "Not measured." in text
    assert "No licence has been named for the weights. The library mnist-gan is under the MIT license." in text
    assert "generator.generate(16, seed=0)" in text
    assert "(generator.png)" in text
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert "The command that trained it is not known." in text


def test_the_card_carries_measures_and_the_command(exported, checkpoints, tmp_path, monkeypatch):
    ckpt = checkpoints["conditional"]
    overrides = ckpt.parent.parent / ".hydra" / "overrides.yaml"
    overrides.parent.mkdir()
    overrides.write_text("- model=conditional\n- logger=[csv,tensorboard]\n- logger.wandb.name=${model.x}\n")
    evaluation = {
        "checkpoints": ["/elsewhere/last.ckpt", str(ckpt)],
        "measures": {
            "other/last": {"test/fid_mnist": 9.0},
            "run/last": {"test/fid_mnist": 0.25, "test/fid_mnist_spread": 0.01, "test/real_mean": 0.13},
            "floor": {"test/fid_mnist": 0.06},
        },
        "data": "mnist",
        "split": "test",
        "labels": "real",
        "better": {"test/fid_mnist": "lower"},
        "num_samples": 10000,
        "repeats": 3,
        "seed": 0,
    }
    saved = tmp_path / "outputs" / "evaluate" / "now" / "metrics.json"
    saved.parent.mkdir(parents=True)
    saved.write_text(json.dumps(evaluation))
    monkeypatch.chdir(tmp_path)
    front, text = split_card(exported("conditional"))
    (result,) = front["model-index"][0]["results"]
    assert result["metrics"] == [{"type": "fid_mnist", "name": "test/fid_mnist", "value": 0.25}]
    assert result["dataset"] == {"name": "mnist", "type": "ylecun/mnist", "split": "test"}
    assert "| test/fid_mnist ↓ | 0.25 ± 0.01 | 0.06 |" in text
    assert "gan train model=conditional 'logger=[csv,tensorboard]' 'logger.wandb.name=${model.x}'" in text
    assert "latent_dim: 8" in text
    explicit, text = split_card(exported("conditional", "overwrite=true", f"measures='{saved}'", "license=cc0-1.0"))
    assert explicit == {**front, "license": "cc0-1.0"}
    assert "The weights are under cc0-1.0." in text

    os.utime(saved, (0, 0))  # an evaluation of an older checkpoint of the same name
    stale, _ = split_card(exported("conditional", "overwrite=true"))
    assert "model-index" not in stale
    with pytest.raises(UserError, match=r"metrics.json: it measures .*conditional.*, not .*unconditional"):
        exported("unconditional", "overwrite=true", f"measures='{saved}'")


def split_card(path):
    _, front, text = path.with_suffix(".md").read_text().split("---\n", 2)
    return OmegaConf.to_container(OmegaConf.create(front)), text


@pytest.mark.process
def test_reading_imports_nothing_heavy(files):
    heavy = {"lightning", "sklearn", "matplotlib", "torchmetrics", "onnx", "onnxscript", "torch._dynamo"}
    code = f"""
import sys, torch
before = set(sys.modules)
from pathlib import Path
from gan.inference.exported_files import read_export
for path in {[str(files["conditional", form]) for form in ("safetensors", "onnx")]}:
    read_export(Path(path), "ckpt")
print(*sorted({heavy!r} & (set(sys.modules) - before)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


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


def test_each_allowed_format_and_type_is_known():
    assert BOUNDS["export"]["format"].values == tuple(FORMATS)
    assert BOUNDS["export"]["dtype"].values == tuple(DTYPES)


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


def rewritten(source, target, **changes):
    """A safetensors export with other metadata."""
    metadata = read_export_metadata(source, "ckpt") | changes
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
        (hostile({"_target_": "gan.networks.ConvGenerator", "channels": [8], "layers": [1]}), "not subscriptable"),
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


def test_a_missing_onnxruntime_names_the_extra(files, exported, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    refused(files["conditional", "onnx"], r"needs onnxruntime; pip install 'mnist-gan\[export\]'")
    with pytest.raises(UserError, match=r"format=onnx needs onnxruntime; pip install"):
        exported("conditional", "format=onnx")


def test_a_users_network_takes_trust(files, tmp_path):
    from my_gan import MLPGenerator

    shape = {"latent_dim": 8, "num_classes": None, "image_channels": 1}
    network = MLPGenerator(**shape, width=4)
    metadata = read_export_metadata(files["unconditional", "safetensors"], "ckpt")
    metadata |= {**shape, "hyper_parameters": {"generator": {"_target_": "my_gan.MLPGenerator", "width": 4}}}
    path = tmp_path / "own.safetensors"
    write_safetensors(network, metadata, path, torch.float32)
    refused(path, r"my_gan.MLPGenerator: only what is under gan.networks is built; trust=")
    again, _ = read_export(path, "ckpt", ["my_gan"])
    z = torch.randn(3, shape["latent_dim"])
    assert torch.equal(again(z), network(z))


@pytest.mark.parametrize("form", ["ckpt", "safetensors"])
def test_a_trusted_network_may_have_tensors_that_are_not_saved(files, tmp_path, form):
    from my_gan import FadingGenerator

    shape = {"latent_dim": 8, "num_classes": None, "image_channels": 1}
    network = FadingGenerator(**shape, width=4)
    options = {**shape, "generator": {"_target_": "my_gan.FadingGenerator", "width": 4}}
    path = tmp_path / f"own.{form}"
    if form == "ckpt":
        weights = {f"generator_ema.{name}": value for name, value in network.state_dict().items()}
        torch.save({"state_dict": weights, "hyper_parameters": options, "epoch": 0, "images_seen": 0}, path)
    else:
        metadata = (
            read_export_metadata(files["unconditional", "safetensors"], "ckpt") | shape | {"hyper_parameters": options}
        )
        write_safetensors(network, metadata, path, torch.float32)
    again = DigitGenerator.open(path, device="cpu", trust=["my_gan"]).network
    z = torch.randn(3, 8)
    assert torch.equal(again(z), network(z))


def test_a_checkpoint_whose_output_is_no_such_image_is_refused(tmp_path):
    from my_gan import MLPGenerator

    shape = {"latent_dim": 8, "num_classes": None, "image_channels": 3}
    weights = {f"generator_ema.{name}": value for name, value in MLPGenerator(**shape, width=4).state_dict().items()}
    options = {**shape, "generator": {"_target_": "my_gan.MLPGenerator", "width": 4}}
    path = tmp_path / "grey.ckpt"
    torch.save({"state_dict": weights, "hyper_parameters": options, "epoch": 0, "images_seen": 0}, path)
    with pytest.raises(
        UserError, match=r"grey.ckpt: the output of its generator has shape \(2, 1, 28, 28\), not 3x28x28"
    ):
        DigitGenerator.open(path, device="cpu", trust=["my_gan"])
