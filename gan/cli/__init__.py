"""The command line, `gan COMMAND [overrides]`, and its menu."""

from gan.cli.commands import main

__all__ = ["main"]
