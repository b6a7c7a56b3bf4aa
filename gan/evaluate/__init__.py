"""`gan evaluate`: measures and pictures of a checkpoint."""

from gan.evaluate.command import evaluate, markdown

__all__ = ["evaluate", "markdown"]
