"""Images between two classes, from a network that was trained on whole classes."""

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from gan.errors import UserError
from gan.inference.few_rows import at_least_rows


def mix_classes(network: nn.Module, latents: Tensor, shares: Tensor) -> Tensor:
    """Runs a network on mixed class embeddings. An image with the share 1 of a class is that of the class itself.

    Each embedding table, which has a row for each class, is replaced by one with a row for each image:
    sum_k shares[i, k] * embedding(k), for shares float [N, K]. They replace those of a copy, which shares all other
    tensors with the network, so that other threads can use it meanwhile. A UserError if there are no such tables.
    """
    if not class_embeddings(network, shares.shape[1]):
        raise UserError(
            "digits: this network has no class embeddings to mix (that of an ONNX file never has); "
            "use one digit, such as digits=[0], or the checkpoint, ckpt=FILE.ckpt"
        )
    mixing = deepcopy(network, {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())})
    rows = at_least_rows(shares)
    for embedding in class_embeddings(mixing, shares.shape[1]):
        table = (rows @ embedding.weight)[: len(shares)]
        embedding.weight = nn.Parameter(table, requires_grad=False)
    images: Tensor = mixing(latents, torch.arange(len(latents), device=latents.device))
    return images


def class_embeddings(network: nn.Module, num_classes: int) -> list[nn.Embedding]:
    """The embeddings of classes in a network."""
    embeddings = (module for module in network.modules() if isinstance(module, nn.Embedding))
    return [embedding for embedding in embeddings if embedding.num_embeddings == num_classes]


def main_classes(labels: Tensor | None, num_classes: int | None) -> Tensor | None:
    """The class of the largest share for shares float32 [N, num_classes]: int64 [N]; anything else as it is.

    Raises a UserError for shares that are not finite.
    """
    if isinstance(labels, Tensor) and labels.dtype == torch.float32 and labels.shape[1:] == (num_classes,):
        if not bool(labels.isfinite().all()):
            raise UserError("labels: shares of classes are finite numbers, and some of these are not")
        return labels.argmax(1)
    return labels


def interpolate_labels(labels: Tensor, steps: int, num_classes: int) -> Tensor:
    """Straight lines from each label to the next, both ends included: shares float [(N - 1) * steps, num_classes].

    If all labels are the same, the label itself, int64, which a network without class embeddings can take too.
    """
    if bool((labels == labels[0]).all()):
        return labels[:1].expand((len(labels) - 1) * steps)
    shares = one_hot(labels, num_classes).float().unsqueeze(1)
    t = torch.linspace(0, 1, steps, dtype=shares.dtype, device=shares.device)
    return torch.lerp(shares[:-1], shares[1:], t.view(1, -1, 1)).flatten(0, 1)
