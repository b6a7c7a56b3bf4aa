"""Products of few rows."""

import torch
from torch import nn

from gan.inference.few_rows import ROWS, at_least_rows, pad_linear_layers


def test_a_row_is_computed_as_one_of_many():
    network = nn.Sequential(nn.Linear(64, 300), nn.ReLU(), nn.Linear(300, 5, bias=False))
    rows = torch.cat([torch.randn(1, 64), torch.zeros(ROWS - 1, 64)])
    with torch.inference_mode():
        hidden = network[:2](rows)
        expected = network[2](torch.cat([hidden[:1], torch.zeros(ROWS - 1, 300)]))[:1]
        names = list(network.state_dict())
        pad_linear_layers(network)
        assert torch.equal(network(rows[:1]), expected)
    assert list(network.state_dict()) == names


def test_only_few_rows_are_padded():
    assert at_least_rows(torch.ones(3, 2)).shape == (ROWS, 2)
    assert at_least_rows(torch.ones(9, 2)).shape == (9, 2)
