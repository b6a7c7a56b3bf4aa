"""Where a run's numbers and pictures go: metrics.csv, TensorBoard or Weights & Biases, each in a file of its own.

A logger of your own is any `Logger` of Lightning. One that is an `ImageAxis` too learns how many images a run has seen.
"""

from gan.loggers.csv import CSVMetrics, images_of, read_rows
from gan.loggers.image_axis import ImageAxis

__all__ = ["CSVMetrics", "ImageAxis", "images_of", "read_rows"]
