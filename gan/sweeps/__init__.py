"""Sweeps: many training runs with different settings, and a table of their results."""

from gan.sweeps.command import sweeps

__all__ = ["sweeps"]
