"""Chunks of several sizes whose images have the same bits, and images between two classes."""

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest
import torch
from tiny_generators import save_checkpoint
from torch import nn

from gan.errors import UserError
from gan.inference import CHUNK, DigitGenerator, chunks, exact_sizes
from gan.inference.chunks import ROWS, at_least_rows, mix_classes, pad_linear_layers


class Uneven(nn.Module):
    """A network whose images differ by one bit in chunks smaller than `even` (of whole classes) or `even_mixed`."""

    def __init__(self, even, even_mixed=1):
        super().__init__()
        self.even, self.even_mixed = even, even_mixed
        self.classes = nn.Embedding.from_pretrained(torch.zeros(10, 1))  # a matrix product of zeros is exact

    def forward(self, latents, labels=None):
        mixed = len(self.classes.weight) != 10
        images = latents.sum(1) + (0 if labels is None else self.classes(labels)[:, 0])
        uneven = len(latents) < (self.even_mixed if mixed else self.even)
        return torch.nextafter(images, images + uneven)


def test_a_range_is_split_at_the_multiples_of_a_size():
    assert list(chunks(5, 25, 10)) == [(5, 10), (10, 20), (20, 25)]
    assert list(chunks(10, 20, 10)) == [(10, 20)]
    assert list(islice(chunks(3, 10**15, 10), 2)) == [(3, 10), (10, 20)]


@pytest.mark.parametrize(
    ("network", "labels", "sizes"),
    [
        (Uneven(1), None, (1, 2, 4, 8, 12, 16, 24, 32)),
        (Uneven(5), None, (8, 12, 16, 24, 32)),
        (Uneven(CHUNK), None, (CHUNK,)),
        (Uneven(1), torch.arange(CHUNK) % 10, (1, 2, 4, 8, 12, 16, 24, 32)),
        (Uneven(2, 16), torch.arange(CHUNK) % 10, (16, 24, 32)),
    ],
)
def test_only_sizes_that_give_the_same_bits_are_used(network, labels, sizes):
    latents = torch.randint(0, 8, (CHUNK, 4)).float()
    assert exact_sizes(network, latents, labels, None if labels is None else 10) == sizes


def test_a_size_that_is_wrong_at_one_place_is_not_used():
    def network(latents, labels):
        images = latents.sum(1)
        if len(images) == 8:
            images[7] += 1
        return images

    wrapped = nn.Module()
    wrapped.forward = network
    assert exact_sizes(wrapped, torch.ones(CHUNK, 2), None, None) == (1, 2, 4, 12, 16, 24, 32)


def test_a_chunk_is_padded_to_the_smallest_size_that_holds_it(tmp_path):
    generator = DigitGenerator.from_checkpoint(save_checkpoint(tmp_path / "a.ckpt"), device="cpu")
    z, labels = generator.latents(1, 0, 71), generator.labels(None, 0, 71)
    expected, sizes = generator.sample(z, labels), []
    generator.chunk_sizes = (4, 8, 32)
    generator.network.register_forward_pre_hook(lambda module, given: sizes.append(len(given[0])))
    for count, padded in ((1, [4]), (4, [4]), (5, [8]), (9, [32]), (71, [32, 32, 8])):
        sizes.clear()
        assert torch.equal(generator.sample(z[:count], labels[:count]), expected[:count])
        assert sizes == padded


def test_a_mix_of_digits_is_the_image_of_the_mixed_embeddings(untrained):
    generator = untrained()
    z = generator.latents(0, 0, 3)
    shares = torch.zeros(3, 10)
    shares[:, 2], shares[:, 7] = 0.25, 0.75
    mixed = generator.sample(z, shares)
    for module in generator.network.modules():
        if isinstance(module, torch.nn.Embedding):
            module.weight[0] = 0.25 * module.weight[2] + 0.75 * module.weight[7]
    assert (mixed.int() - generator.sample(z, torch.zeros(3, dtype=torch.long)).int()).abs().max() <= 1


def test_threads_that_use_the_network_at_once_do_not_disturb_each_other(untrained):
    generator = untrained()
    z, shares = generator.latents(0, 0, 3), torch.eye(10)[[2, 7, 7]].lerp(torch.eye(10)[[1, 0, 4]], 0.25)
    given = (torch.tensor([1, 2, 7]), shares, shares.flip(0))
    expected = [generator.sample(z, labels) for labels in given]
    reached, released = threading.Event(), threading.Event()

    def wait(module, inputs):
        if threading.current_thread() is not threading.main_thread():
            reached.set()
            assert released.wait(30)

    generator.network.register_forward_pre_hook(wait)
    with ThreadPoolExecutor(1) as thread:
        mixed = thread.submit(generator.sample, z, shares)
        assert reached.wait(30)
        found = [generator.sample(z, labels) for labels in given]
        released.set()
        assert torch.equal(mixed.result(), expected[1])
    for images, right in zip(found, expected, strict=True):
        assert torch.equal(images, right)


def test_a_network_without_embeddings_of_classes_mixes_none():
    for network in (torch.nn.Linear(2, 2), torch.nn.Embedding(9, 1)):
        with pytest.raises(UserError, match=r"no class embeddings to mix .*; use one digit"):
            mix_classes(network, torch.zeros(3, 2), torch.ones(3, 10) / 10)


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
