"""`gan train`: one training run, from its checks to its last file."""

from typing import Any

__all__ = ["train"]


def __getattr__(name: str) -> Any:
    """Imports Lightning with the first use of `train`: the command line needs only `gan.train.resume` before that."""
    if name == "train":
        from gan.train.command import train

        return train
    raise AttributeError(name)
