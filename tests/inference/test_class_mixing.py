"""Images between two classes."""

import math
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from gan.errors import UserError
from gan.inference.class_mixing import interpolate_labels, mix_classes


def test_a_mix_of_digits_is_the_image_of_the_mixed_embeddings(untrained):
    generator = untrained()
    z = generator.latents(0, 0, 3)
    shares = torch.zeros(3, 10)
    shares[:, 2], shares[:, 7] = 0.25, 0.75
    mixed = generator.sample(z, shares)
    with pytest.raises(UserError, match=r"^labels: shares of classes are finite numbers"):
        generator.sample(z, shares * math.nan)
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


def test_labels_pass_in_straight_lines_from_each_class_to_the_next():
    shares = interpolate_labels(torch.tensor([0, 2, 2]), 3, 3)
    line = [[1, 0, 0], [0.5, 0, 0.5], [0, 0, 1]]
    assert shares.tolist() == [*line, *[[0, 0, 1]] * 3]
    assert interpolate_labels(torch.tensor([2, 2]), 3, 3).tolist() == [2, 2, 2]  # which every network can take


def test_a_network_without_embeddings_of_classes_mixes_none():
    for network in (torch.nn.Linear(2, 2), torch.nn.Embedding(9, 1)):
        with pytest.raises(UserError, match=r"no class embeddings to mix .*; use one digit"):
            mix_classes(network, torch.zeros(3, 2), torch.ones(3, 10) / 10)
