"""Where random numbers come from: seeds derived from what they are for, never from what was drawn before."""

import numpy as np
import torch
from torch import Tensor

BLOCK = 256


def derive_seed(*parts: int) -> int:
    """A 63-bit seed for one purpose, such as (seed, epoch, rank); unrelated for any two different tuples.

    Args:
        parts: integers, 0 <= part < 2**64.
    """
    words = [
        word for part in parts for word in (part & 0xFFFFFFFF, part >> 32)
    ]  # SeedSequence joins parts of any width
    return int(np.random.SeedSequence([len(parts), *words]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def latents(seed: int, start: int, stop: int, latent_dim: int) -> Tensor:
    """Standard normal latents of the images start..stop-1 of a seed: float32 [stop - start, latent_dim] on the CPU.

    Row i depends on (seed, i, latent_dim) alone. Rows are drawn in blocks of a fixed size, so that any range is cheap.
    """
    first = start // BLOCK
    blocks = [
        torch.randn(BLOCK, latent_dim, generator=torch.Generator().manual_seed(derive_seed(seed, block)))
        for block in range(first, -(-stop // BLOCK))
    ]
    if not blocks:
        return torch.empty(0, latent_dim)
    return torch.cat(blocks)[start - first * BLOCK : stop - first * BLOCK]
