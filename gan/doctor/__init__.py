"""`gan doctor`: what is on this machine, and what helps where something is missing."""

from gan.doctor.command import doctor

__all__ = ["doctor"]
