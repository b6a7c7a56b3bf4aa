"""`gan train`: one training run, from its checks to its last file."""

from gan.train.command import train

__all__ = ["train"]
