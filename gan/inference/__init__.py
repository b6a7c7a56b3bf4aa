"""From a checkpoint or an exported file to images: everything after training uses `DigitGenerator`."""

from gan.inference.chunks import CHUNK, chunks, exact_sizes
from gan.inference.digit_generator import DigitGenerator
from gan.inference.labels import Select

__all__ = ["CHUNK", "DigitGenerator", "Select", "chunks", "exact_sizes"]
