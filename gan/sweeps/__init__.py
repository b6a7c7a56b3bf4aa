"""Sweeps: many training runs that differ in some settings, and what came of them."""

from gan.sweeps.command import sweeps

__all__ = ["sweeps"]
