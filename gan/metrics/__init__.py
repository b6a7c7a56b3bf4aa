"""Measures of generated images: distances between sets in an extractor's feature space, and what a classifier reads.

`ImageMeasures(build_extractor("mnist"))` is what validation and `gan evaluate` share.
"""

from pathlib import Path

from torch import nn

from gan.errors import UserError
from gan.metrics.extractor import DigitClassifier, DigitExtractor, load_digit_classifier
from gan.metrics.measures import DIGIT_MEASURES, MEASURES, ImageMeasures

__all__ = [
    "DIGIT_MEASURES",
    "MEASURES",
    "DigitClassifier",
    "DigitExtractor",
    "ImageMeasures",
    "build_extractor",
    "load_digit_classifier",
    "metric_name",
]

# Numbers of these measures mean nothing without the name of the feature space they were taken in.
_IN_FEATURE_SPACE = ("fid", "is", "kid", "precision", "recall", "coverage", "memorization")


def build_extractor(name: str = "mnist", inception_weights: str | Path | None = None) -> nn.Module:
    """The extractor `mnist` or `inception`, on the CPU; `.to(device)` moves it, but beside an MPS run it stays there.

    It maps images uint8 [N, C, 28, 28] to features float32 [N, D] and logits float32 [N, K], and says its `name`,
    whether it `reads_digits`, and a `chunk_size` of images to feed at a time.

    Args:
        name: `metrics.extractor`.
        inception_weights: `metrics.inception_weights`; torch-fidelity's file, downloaded when not given.

    Raises:
        UserError: another name; weights that are missing, altered or of another network.
    """
    if name == "mnist":
        return DigitExtractor()
    if name == "inception":
        from gan.metrics.inception import InceptionExtractor

        return InceptionExtractor(inception_weights)
    raise UserError(f"metrics.extractor={name}: mnist or inception")


def metric_name(split: str, key: str, extractor: str) -> str:
    """The name a number of `ImageMeasures.compute` is logged by: `val/fid_mnist`, `val/digit_accuracy`.

    Args:
        split: train, val or test.
        key: of that number.
        extractor: the extractor's `name`.
    """
    return f"{split}/{key}_{extractor}" if key.split("_")[0] in _IN_FEATURE_SPACE else f"{split}/{key}"
