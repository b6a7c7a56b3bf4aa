"""Chunks of several sizes whose images have the same bits."""

from itertools import islice

import pytest
import torch
from tiny_generators import save_checkpoint
from torch import nn

from gan.images import quantize
from gan.inference import CHUNK, DigitGenerator, chunks, exact_sizes
from gan.inference.chunks import ChunkRunner


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


@pytest.mark.cuda
def test_a_network_that_cannot_be_recorded_makes_the_same_images_one_by_one(caplog):
    class Synchronizing(nn.Linear):
        def forward(self, latents, labels=None):
            return super().forward(latents.tanh() * latents.isfinite().all().item()).unflatten(1, (1, 28, 28)).tanh()

    network, given = Synchronizing(4, 784).cuda(), torch.randn(24, 4).split(8)
    with torch.inference_mode():
        expected = [quantize(network(latents.cuda())).cpu() for latents in given]
    images = ChunkRunner(network, [8], torch.device("cuda")).run((latents, None) for latents in given)
    assert all(map(torch.equal, images, expected))
    assert sum("cannot be recorded" in line for line in caplog.messages) == 1


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
