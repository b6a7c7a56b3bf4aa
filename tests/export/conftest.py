"""Checkpoints, and what `gan export` makes of them."""

import shutil

import pytest
from exports import MODELS, files

from gan.config import compose
from gan.export import export

__all__ = ["files"]


@pytest.fixture(scope="session")
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
