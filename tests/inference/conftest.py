"""Generators: of runs, exported ones, and untrained ones."""

import pytest
from exports import MODELS, files
from tiny_generators import save_checkpoint

from gan.inference import DigitGenerator

__all__ = ["files"]


@pytest.fixture(scope="session")
def checkpoints(trained):
    """A conditional and an unconditional run's last checkpoint."""
    return {name: trained(name) / "checkpoints" / "last.ckpt" for name in MODELS}


@pytest.fixture
def untrained(tmp_path):
    """A function from the number of classes to an untrained generator."""

    def opened(num_classes=10):
        return DigitGenerator.from_checkpoint(save_checkpoint(tmp_path / "untrained.ckpt", num_classes), device="cpu")

    return opened
