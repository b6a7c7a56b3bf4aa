"""Seeds that depend only on their purpose, latents by index, and the truncation and interpolation of latents."""

import math
import secrets

import numpy as np
import torch
from torch import Tensor

BLOCK = 256
ALIGNED = 1e-3  # sine of the angle below which points have one direction, or opposite ones
DRAWN_TOGETHER = 16  # torch draws normal numbers 16 at a time, so that the first rows do not depend on how many follow


def derive_seed(*parts: int) -> int:
    """A 63-bit seed for one purpose, such as (seed, epoch, rank). Different tuples have unrelated seeds.

    Args:
        parts: integers, 0 <= part < 2**64.
    """
    # Two words for each part, because SeedSequence would join words of parts of other widths.
    words = [word for part in parts for word in (part & 0xFFFFFFFF, part >> 32)]
    return int(np.random.SeedSequence([len(parts), *words]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def random_seed() -> int:
    """A seed where none is given. It has 48 bits: every reader of JSON holds such a number exactly."""
    return secrets.randbits(48)


def shuffled(count: int, seed: int) -> Tensor:
    """The numbers 0..count-1 in a random order that the seed chooses: int64 [count]; no other random number changes."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def balanced_labels(count: int, num_classes: int, device: torch.device) -> Tensor:
    """Random labels, each class equally often: int64 [count] on the device.

    They come from the global generator: that of the device on CUDA, so that a captured step draws anew at each replay.
    """
    turns = math.ceil(count / num_classes)
    if device.type == "cuda":
        return torch.rand(turns, num_classes, device=device).argsort(1).flatten()[:count]
    return torch.cat([torch.randperm(num_classes, device="cpu") for _ in range(turns)])[:count].to(device)


def latents(seed: int, start: int, stop: int, latent_dim: int) -> Tensor:
    """Standard normal latents of the images start..stop-1 of a seed: float32 [stop - start, latent_dim] on the CPU.

    Row i depends only on (seed, i, latent_dim). Rows are drawn in blocks of a fixed size, so that any range is cheap.
    """
    first = start // BLOCK
    blocks = []
    for block in range(first, -(-stop // BLOCK)):
        needed = min(BLOCK, stop - block * BLOCK)
        rows = -(-needed // DRAWN_TOGETHER) * DRAWN_TOGETHER
        stream = torch.Generator().manual_seed(derive_seed(seed, block))
        blocks.append(torch.randn(rows, latent_dim, generator=stream, dtype=torch.float32, device="cpu"))
    if not blocks:
        return torch.empty(0, latent_dim, dtype=torch.float32, device="cpu")
    joined = torch.cat(blocks) if len(blocks) > 1 else blocks[0]
    return joined[start - first * BLOCK : stop - first * BLOCK]


def truncate(z: Tensor, limit: float) -> Tensor:
    """Standard normal latents, moved into [-limit, limit]: the truncation trick (Brock et al. 2019, arXiv:1809.11096).

    The paper draws values beyond the limit again. Here each value becomes F^-1(F(-t) + (F(t) - F(-t)) F(z)), with F the
    normal distribution function and t the limit: the same distribution, and a function of z.

    Args:
        z: float32 of any shape.
        limit: positive. A smaller limit gives cleaner images that are more alike.
    """
    low = torch.special.ndtr(torch.tensor(-limit, dtype=torch.float64, device=z.device))
    inside = torch.special.ndtri(low + (1 - 2 * low) * torch.special.ndtr(z.double()))
    return inside.clamp_(-limit, limit).float()


def slerp(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Spherical interpolation: float [N, D] and [N, D] -> [N, steps, D], both ends included.

    It keeps the length of normal latents. A straight line would pass through shorter latents, which are unlikely. It is
    taken between points of nearly one direction, and between opposite ones, which no single great circle joins.
    """
    directions = [torch.nn.functional.normalize(point, dim=1) for point in (start, end)]
    angle = (directions[0] * directions[1]).sum(1).clamp(-1, 1).acos().view(-1, 1, 1)
    t = torch.linspace(0, 1, steps, dtype=start.dtype, device=start.device).view(1, -1, 1)
    # Shares are exactly 0 and 1 at the ends.
    shares = [torch.where(angle.sin() < ALIGNED, s, torch.sin(s * angle) / angle.sin()) for s in (1 - t, t)]
    return shares[0] * start.unsqueeze(1) + shares[1] * end.unsqueeze(1)
