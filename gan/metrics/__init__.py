"""Measures of generated images: distances between sets in an extractor's feature space, and what a classifier reads.

`measures/` has the measures, a file for each family. `ImageMeasures(build_extractor("mnist"))` computes them, for
validation and for `gan evaluate`.
"""

from gan.metrics.digit_extractor import DigitClassifier, DigitExtractor, load_digit_classifier
from gan.metrics.extractor import Extractor, build_extractor
from gan.metrics.image_measures import ImageMeasures
from gan.metrics.measures import MEASURES, build_measures
from gan.metrics.measures.base import Comparison, Measure

__all__ = [
    "MEASURES",
    "Comparison",
    "DigitClassifier",
    "DigitExtractor",
    "Extractor",
    "ImageMeasures",
    "Measure",
    "build_extractor",
    "build_measures",
    "load_digit_classifier",
]
