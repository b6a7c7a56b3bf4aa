"""Where a run's numbers and pictures go: metrics.csv here, Weights & Biases and TensorBoard in modules of their own."""

from gan.loggers.csv import CSVMetrics, read_rows

__all__ = ["CSVMetrics", "read_rows"]
