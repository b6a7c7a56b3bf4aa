"""`gan evaluate`: measures and pictures of checkpoints and of given images; `measure` does it for tensors."""

from gan.evaluate.command import evaluate
from gan.evaluate.comparison import Evaluation
from gan.evaluate.given_images import measure
from gan.evaluate.table import markdown

__all__ = ["Evaluation", "evaluate", "markdown", "measure"]
