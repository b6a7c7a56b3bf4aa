"""Measures of generated images: `ImageMeasures(build_extractor("mnist"))` computes them."""

from gan.metrics.extractor import DigitClassifier, DigitExtractor, Extractor, build_extractor, load_digit_classifier
from gan.metrics.features import ImageFeatures
from gan.metrics.image_measures import ImageMeasures
from gan.metrics.measures import MEASURES, build_measures
from gan.metrics.measures.base import Comparison, Measure

__all__ = [
    "MEASURES",
    "Comparison",
    "DigitClassifier",
    "DigitExtractor",
    "Extractor",
    "ImageFeatures",
    "ImageMeasures",
    "Measure",
    "build_extractor",
    "build_measures",
    "load_digit_classifier",
]
