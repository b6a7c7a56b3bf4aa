"""What should make a measure worse does, the more the worse, on real digits."""

from itertools import pairwise

import pytest
import torch
from torchvision.transforms.functional import gaussian_blur

from gan.metrics import MEASURES


def noisy(sets, level):
    noise = torch.randn(sets.generated.shape, generator=torch.Generator().manual_seed(1)) * level
    return (sets.generated + noise).clamp(0, 255).to(torch.uint8), sets.generated_labels


def blurred(sets, sigma):
    return (gaussian_blur(sets.generated, 13, sigma) if sigma else sets.generated), sets.generated_labels


def shifted(sets, pixels):
    return sets.generated.roll(pixels, dims=3), sets.generated_labels


def of_few_classes(sets, dropped):
    kept = torch.arange(len(sets.generated))[sets.generated_labels >= dropped]
    chosen = kept.repeat(10)[: len(sets.generated)]
    return sets.generated[chosen], sets.generated_labels[chosen]


def duplicated(sets, times):
    chosen = torch.arange(len(sets.generated)) // times
    return sets.generated[chosen], sets.generated_labels[chosen]


def copied(sets, share):
    images = sets.generated.clone()
    count = round(share * len(images))
    images[:count] = sets.training[:count]
    return images, sets.generated_labels


def swapped(sets, share):
    labels = sets.generated_labels.clone()
    count = round(share * len(labels))
    labels[:count] = (labels[:count] + 5) % 10
    return sets.generated, labels


UP, DOWN = 1, -1
CASES = [
    (
        noisy,
        (0, 8, 16, 32),
        {"fid": UP, "kid": UP, "precision": DOWN, "density": DOWN, "coverage": DOWN, "sharpness": UP}
        | {"fid_class_3": UP, "mean": UP},
    ),
    (
        blurred,
        (0, 1, 2, 4),
        {"fid": UP, "kid": UP, "precision": DOWN, "density": DOWN, "coverage": DOWN, "is": DOWN}
        | {"sharpness": DOWN, "contrast": DOWN, "std": DOWN, "fid_class_3": UP},
    ),
    (
        shifted,
        (0, 2, 4, 6),
        {"fid": UP, "kid": UP, "precision": DOWN, "density": DOWN, "coverage": DOWN, "fid_class_3": UP},
    ),
    (shifted, (0, 4, 6), {"digit_accuracy": DOWN}),
    (
        of_few_classes,
        (0, 3, 6, 9),
        {"fid": UP, "kid": UP, "recall": DOWN, "coverage": DOWN, "is": DOWN, "class_balance": UP, "modes": DOWN},
    ),
    (duplicated, (1, 2, 5, 25), {"fid": UP, "coverage": DOWN}),
    # From four of each, an image's third neighbour is its own copy, and nothing is recalled any more.
    (duplicated, (1, 2, 5), {"recall": DOWN}),
    (copied, (0, 0.1, 0.4, 1), {"memorization_share": UP, "memorization_ratio": DOWN}),
    (swapped, (0, 0.1, 0.5, 1), {"digit_accuracy": DOWN, "accuracy_class_3": DOWN, "fid_class_3": UP}),
]


def test_each_measure_has_a_case():
    values = [set(measure.values) for name, measure in MEASURES.items() if name != "cas"]  # see test_cas.py
    assert all(of_one & {key for *_, expected in CASES for key in expected} for of_one in values)


@pytest.mark.parametrize(
    ("degrade", "levels", "expected"), CASES, ids=[f"{case[0].__name__}-{next(iter(case[2]))}" for case in CASES]
)
def test_measures_get_worse_monotonically(measure, sets, degrade, levels, expected):
    results = [measure(*degrade(sets, level)) for level in levels]
    for key, direction in expected.items():
        course = [result[key] for result in results]
        assert all((after - before) * direction > 0 for before, after in pairwise(course)), (key, course)
