"""`gan export`: a checkpoint's generator as a file for other programs, with a model card."""

from gan.export.command import export

__all__ = ["export"]
