"""The device that a generator runs on."""

import torch

from gan.errors import UserError
from gan.threads import settle_threads


def find_device(name: str) -> torch.device:
    """The device of a name such as "cuda:1", or the best one for "auto". A UserError if this machine lacks it."""
    settle_threads()
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, TypeError) as error:
        raise UserError(f"device={name}: not on this machine; device=auto chooses the best one") from error
    return device
