"""`gan evaluate`: measures and pictures of a checkpoint."""

from gan.evaluate.command import evaluate
from gan.evaluate.table import markdown

__all__ = ["evaluate", "markdown"]
