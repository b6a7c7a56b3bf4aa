"""Checkpoints, and what `gan export` makes of them."""

import shutil

import pytest

from gan.config import compose
from gan.export import export


@pytest.fixture(scope="session")
def checkpoints(trained, tmp_path_factory):
    """A conditional and an unconditional run's last checkpoint, in folders that may be written to."""
    root = tmp_path_factory.mktemp("runs")
    return {
        name: shutil.copytree(trained(name), root / name) / "checkpoints" / "last.ckpt"
        for name in ("conditional", "unconditional")
    }


@pytest.fixture
def exported(checkpoints, tmp_path):
    """A function from a model or a file, and overrides, to the path of its export."""

    def run(ckpt, *overrides):
        fixed = [f"ckpt='{checkpoints.get(ckpt, ckpt)}'", f"output_dir='{tmp_path / 'export'}'"]
        return export(compose("export", [*fixed, *overrides]))

    return run


@pytest.fixture(scope="session")
def files(checkpoints, shared):
    """Exports of both models in both formats, by (model, format). Tests read them and leave them as they are."""
    names = {(model, form): f"{model}_{form}.{form}" for model in checkpoints for form in ("safetensors", "onnx")}

    def fill(folder):
        for (model, form), name in names.items():
            output = [f"format={form}", f"output='{folder / name}'", f"output_dir='{folder}'"]
            export(compose("export", [f"ckpt='{checkpoints[model]}'", *output]))

    folder = shared("exports", fill)
    return {key: folder / name for key, name in names.items()}
