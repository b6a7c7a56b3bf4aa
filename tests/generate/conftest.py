"""A tiny generator, and `gan generate` with it."""

import numpy as np
import pytest
from exports import files
from tiny_generators import save_checkpoints

from gan.config import compose
from gan.generate import generate
from gan.inference import DigitGenerator

__all__ = ["files"]


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    """Directions are found sooner; what is compared was found in as many images."""
    monkeypatch.setattr("gan.inference.directions.NUM_IMAGES", 512)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    return save_checkpoints(tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture
def generated(checkpoints, tmp_path):
    """A function from an output's name and overrides to what `gan generate` left there, arrays loaded."""

    def run(output, *overrides, model="conditional"):
        fixed = [f"ckpt='{checkpoints[model]}'", "device=cpu", f"output_dir='{tmp_path}'"]
        path = generate(compose("generate", [*fixed, f"output='{tmp_path / output}'", *overrides]))
        assert path == tmp_path / output
        return np.load(path) if path.suffix in (".npy", ".npz") else path

    return run


@pytest.fixture
def model(checkpoints):
    return DigitGenerator.from_checkpoint(checkpoints["conditional"], device="cpu")
