"""`gan generate`: pictures or whole data sets from a trained generator."""

from gan.generate.command import generate, parse_seeds

__all__ = ["generate", "parse_seeds"]
