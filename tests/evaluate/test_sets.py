"""Which images of a set are measured."""

from types import SimpleNamespace

import pytest
import torch

from gan.evaluate.sets import GeneratedSet, GivenSet


def chosen(given, count, repeat):
    images, labels = zip(*given.samples(count, repeat), strict=True)
    return torch.cat(images)[:, 0, 0, 0].tolist(), labels


@pytest.mark.parametrize("counts", [(30, 30), (45, 15)])
def test_a_part_of_labeled_images_has_each_class_as_often_as_all_have(counts):
    labels = torch.arange(2).repeat_interleave(torch.tensor(counts))[torch.randperm(60)]
    images = torch.arange(60, dtype=torch.uint8)[:, None, None, None]
    given = GivenSet("given", images, labels, seed=0)
    seen = []
    for repeat in range(3):
        numbers, of_parts = chosen(given, 20, repeat)
        assert torch.cat(of_parts).bincount().tolist() == [count // 3 for count in counts]
        seen += numbers
    assert sorted(seen) == list(range(60))
    assert seen[:20] != sorted(seen[:20])


def test_images_without_labels_are_chosen_at_random():
    images = torch.arange(60, dtype=torch.uint8)[:, None, None, None]
    first, second = (chosen(GivenSet("given", images, None, seed), 20, 0)[0] for seed in (0, 1))
    assert len({*first}) == 20
    assert first != second


def test_fewer_generated_images_than_labels_have_the_share_of_each_class():
    """The first labels of a file have other shares."""
    generator = SimpleNamespace(
        num_classes=2,
        stream=lambda count, digits, seed: torch.zeros(count, 1, 28, 28).split(8),
        labels=lambda digits, start, stop: torch.tensor(digits[start:stop]),
    )
    labels = torch.arange(2).repeat_interleave(torch.tensor([45, 15]))
    given = GeneratedSet("generated", generator, labels, seed=0)
    counts = [torch.cat([part for _, part in given.samples(count, 0)]).bincount().tolist() for count in (20, 60)]
    assert counts == [[15, 5], [45, 15]]
    assert torch.equal(torch.cat([part for _, part in given.samples(60, 0)]), labels)
