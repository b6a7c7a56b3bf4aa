"""Images between two classes, from a network that was trained on whole classes."""

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import one_hot

from gan.errors import UserError
from gan.inference.few_rows import at_least_rows


def mix_classes(network: nn.Module, latents: Tensor, shares: Tensor) -> Tensor:
    """Runs a network on mixed class embeddings. An image with the share 1 of a class is that of the class itself.

    Each embedding table, which has a row for each class, is replaced by a table with a row for each image:
    sum_k shares[i, k] * embedding(k).

    Args:
        network: called as network(latents, labels). It knows the K classes by embeddings alone.
        latents: float [N, latent_dim].
        shares: float [N, K].

    Raises:
        UserError: the network has no class embeddings.
    """
    embeddings = class_embeddings(network, shares.shape[1])
    if not embeddings:
        raise UserError(
            "digits: this network has no class embeddings to mix (that of an ONNX file never has); "
            "use one digit, such as digits=[0], or the checkpoint, ckpt=FILE.ckpt"
        )
    rows = at_least_rows(shares)
    tables = {f"{name}.weight": (rows @ module.weight)[: len(shares)] for name, module in embeddings.items()}
    return functional_call(network, tables, (latents, torch.arange(len(latents), device=latents.device)))


def class_embeddings(network: nn.Module, num_classes: int) -> dict[str, nn.Embedding]:
    """The embeddings of classes in a network, by name."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Embedding) and module.num_embeddings == num_classes
    }


def interpolate_labels(labels: Tensor, steps: int, num_classes: int) -> Tensor:
    """Straight lines from each label to the next, both ends included.

    Returns:
        Shares of the classes, float [(N - 1) * steps, num_classes]. If all labels are the same: the label itself,
        int64 [(N - 1) * steps], which a network without class embeddings can take too.
    """
    if bool((labels == labels[0]).all()):
        return labels[:1].expand((len(labels) - 1) * steps)
    shares = one_hot(labels, num_classes).float().unsqueeze(1)
    return torch.lerp(shares[:-1], shares[1:], torch.linspace(0, 1, steps).view(1, -1, 1)).flatten(0, 1)
