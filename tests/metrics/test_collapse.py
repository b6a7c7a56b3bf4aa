"""What counts as mode collapse."""

import torch

from gan.metrics.collapse import signs_of_collapse
from gan.metrics.features import ImageFeatures


def seen(digits, spread=1.0, classes=10):
    generator = torch.Generator().manual_seed(len(digits))
    logits = torch.nn.functional.one_hot(torch.as_tensor(digits), classes).double()
    noise = torch.rand(len(digits), 2 * classes, generator=generator, dtype=torch.float64)
    features = logits.repeat(1, 2) + spread * noise
    return ImageFeatures(features, logits, torch.empty(len(digits), 0), None)


REAL = seen(list(range(10)) * 20)


def test_images_like_the_real_ones_show_no_sign():
    assert signs_of_collapse(REAL, seen(list(range(10)) * 15)) is None


def test_missing_classes_are_named():
    signs = signs_of_collapse(REAL, seen([0, 1, 2, 3, 4, 5, 6, 7] * 20))
    assert signs.startswith("mode collapse: hardly any image of the classes [8, 9]; ")


def test_a_few_images_of_many_classes_miss_some_by_chance():
    generator = torch.Generator().manual_seed(0)
    real, generated = (seen(torch.randint(300, (1500,), generator=generator), classes=300) for _ in range(2))
    assert len(generated.digits.unique()) < 300
    assert signs_of_collapse(real, generated) is None


def test_classes_whose_images_are_alike_are_named():
    signs = signs_of_collapse(REAL, seen(list(range(10)) * 15, spread=0.1))
    assert signs.startswith("mode collapse: images of the classes [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] are nearly the same; ")
