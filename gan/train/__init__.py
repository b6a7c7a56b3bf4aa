"""`gan train`: one training run, from its checks to its last file."""

from typing import Any

__all__ = ["train"]


def __getattr__(name: str) -> Any:
    """Lightning is imported with the first use: the command line reads its arguments in `resume` before that."""
    if name == "train":
        from gan.train.command import train

        return train
    raise AttributeError(name)
