"""Matrix products of few rows, to the bit as in a product of many: with few rows, libraries take other kernels."""

from torch import Tensor, nn
from torch.nn.functional import pad

ROWS = 8  # from here on, the bits of a row do not depend on how many there are, on the processors tried


def at_least_rows(rows: Tensor) -> Tensor:
    """The same rows [N, K], with zeros after them if there are fewer than `ROWS`."""
    return pad(rows, (0, 0, 0, max(0, ROWS - len(rows))))


class PaddedLinear(nn.Linear):
    """A linear layer that computes with `ROWS` rows or more."""

    def forward(self, rows: Tensor) -> Tensor:
        return super().forward(at_least_rows(rows))[: len(rows)]


def pad_linear_layers(network: nn.Module) -> None:
    """Makes each linear layer of a network a `PaddedLinear`, so that small chunks give the same bits."""
    for layer in network.modules():
        if type(layer) is nn.Linear:
            layer.__class__ = PaddedLinear
