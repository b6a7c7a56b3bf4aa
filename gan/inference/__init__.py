"""From a checkpoint or an exported file to images: everything after training goes through `DigitGenerator`."""

from gan.inference.generator import CHUNK, DigitGenerator, Select, chunks

__all__ = ["CHUNK", "DigitGenerator", "Select", "chunks"]
