"""Where a network runs."""

import torch

from gan.errors import UserError


def device_of(name: str) -> torch.device:
    """The device of a name such as "cuda:1"; the best there is for "auto".

    Raises:
        UserError: it is not on this machine.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, TypeError) as error:
        raise UserError(f"device={name}: not on this machine; auto takes the best there is") from error
    return device
