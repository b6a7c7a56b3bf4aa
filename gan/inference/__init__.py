"""From a checkpoint or an exported file to images: everything after training uses `DigitGenerator`."""

from gan.inference.arguments import Select
from gan.inference.chunks import CHUNK, chunks, exact_sizes
from gan.inference.digit_generator import DigitGenerator

__all__ = ["CHUNK", "DigitGenerator", "Select", "chunks", "exact_sizes"]
