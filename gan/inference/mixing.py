"""Mixes of classes from a network that was trained on whole ones."""

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import one_hot

from gan.errors import UserError


def mix_classes(network: nn.Module, latents: Tensor, shares: Tensor) -> Tensor:
    """Calls a network on mixes of its class embeddings; a share of 1 is what the class itself gives.

    The network is run with embedding tables that have a row for each image, sum_k shares[i, k] * embedding(k), in place
    of one for each class.

    Args:
        network: called as network(latents, labels); all that it knows of the K classes are embeddings.
        latents: float [N, latent_dim].
        shares: float [N, K].

    Raises:
        UserError: it has no such embeddings.
    """
    tables = {
        f"{name}.weight": shares @ module.weight
        for name, module in network.named_modules()
        if isinstance(module, nn.Embedding) and module.num_embeddings == shares.shape[1]
    }
    if not tables:
        raise UserError(
            "digits: this network has no embeddings of digits to mix, as no ONNX file has; "
            "keep one digit, such as digits=[0], or take the checkpoint, ckpt=FILE.ckpt"
        )
    return functional_call(network, tables, (latents, torch.arange(len(latents), device=latents.device)))


def mixes(labels: Tensor, steps: int, num_classes: int) -> Tensor:
    """On the way from each label to the next, both ends included: int64 [N] -> float shares [(N - 1) * steps, K].

    Where all labels are one, it is returned as such, int64: any network can draw that.
    """
    if bool((labels == labels[0]).all()):
        return labels[:1].expand((len(labels) - 1) * steps)
    shares = one_hot(labels, num_classes).float().unsqueeze(1)
    return torch.lerp(shares[:-1], shares[1:], torch.linspace(0, 1, steps).view(1, -1, 1)).flatten(0, 1)
