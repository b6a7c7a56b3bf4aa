"""From a checkpoint or an exported file to images: everything after training goes through `DigitGenerator`."""

from gan.inference.chunks import CHUNK, chunks
from gan.inference.digits import Select
from gan.inference.generator import DigitGenerator

__all__ = ["CHUNK", "DigitGenerator", "Select", "chunks"]
