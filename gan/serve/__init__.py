"""`gan serve`: generated digits over HTTP."""

from gan.serve.command import serve

__all__ = ["serve"]
