"""Matrix products of few rows, to the bit as in a product of many: with few rows, libraries take other kernels."""

from functools import partial

from torch import Tensor, nn
from torch.nn.functional import linear, pad

ROWS = 8  # from here on, the bits of a row do not depend on how many there are, on the processors tried


def at_least_rows(rows: Tensor) -> Tensor:
    """The same rows [N, K], with zeros after them if there are fewer than `ROWS`."""
    return pad(rows, (0, 0, 0, max(0, ROWS - len(rows))))


def pad_linear_layers(network: nn.Module) -> None:
    """Has the linear layers of a network compute with `ROWS` rows or more, so that small chunks give the same bits."""
    for layer in network.modules():
        if type(layer) is nn.Linear:
            layer.forward = partial(_forward, layer)  # type: ignore[method-assign]  # of this network alone


def _forward(layer: nn.Linear, rows: Tensor) -> Tensor:
    return linear(at_least_rows(rows), layer.weight, layer.bias)[: len(rows)]
