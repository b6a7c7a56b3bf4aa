"""The split into training and validation images."""

import pytest
import torch

from gan.data import stratified_split


@pytest.mark.parametrize("held_out", [0, 1, 7, 50, 99, 100])
def test_each_image_is_in_one_part(held_out):
    labels = torch.randint(0, 10, (100,), generator=torch.Generator().manual_seed(0))
    kept, out = stratified_split(labels, held_out)
    assert len(out) == held_out
    assert sorted(kept.tolist() + out.tolist()) == list(range(100))


def test_each_class_has_its_share():
    labels = torch.cat([torch.full((count,), label) for label, count in enumerate((400, 200, 100, 33))])
    _, out = stratified_split(labels, 73)
    shares = torch.tensor([400, 200, 100, 33]) * 73 / 733
    assert (torch.bincount(labels[out]) - shares).abs().max() < 1
    # In random order: the first few are of several classes, though the labels came sorted.
    assert len(labels[out][:20].unique()) > 1


def test_the_same_for_everyone():
    torch.manual_seed(1)
    _, out = stratified_split(torch.arange(1000) % 10, 8)
    assert out.tolist() == [63, 312, 955, 846, 824, 970, 827, 31]
