"""Real digits without a file of MNIST's: scikit-learn's, in three sets that share no image."""

from collections import namedtuple

import pytest
import torch

from gan.data import Digits
from gan.metrics import Comparison, ImageMeasures, build_extractor, build_measures
from gan.metrics.features import ImageFeatures
from gan.metrics.measures.base import LabeledImages, Pixels

SIZE = 599

DigitSets = namedtuple("DigitSets", "held_out held_out_labels generated generated_labels training training_labels")


@pytest.fixture(scope="session")
def computed():
    """A function from a measure and plain features, or logits, float [N, D] to the measure's values."""

    def values(measure, real=None, generated=None, training=None, logits=None, labels=None, seed=0):
        def seen(rows):
            rows = torch.zeros(0 if logits is None else len(logits), 1) if rows is None else rows
            return ImageFeatures(rows.double(), rows if logits is None else logits, rows[:, :0], labels)

        return measure.compute(Comparison(seen(real), seen(generated), seen(training), seed))

    return values


@pytest.fixture(scope="session")
def extractor():
    return build_extractor("mnist")


@pytest.fixture(scope="session")
def collected(extractor):
    """A function from what to measure and images, with labels or without, to an `ImageMeasures` that was given them."""

    def given(wanted, real=None, generated=None, training=None, extractor=extractor):
        measures = ImageMeasures(extractor, wanted)
        collectors = (measures.real, measures.generated, measures.training)
        for collector, images in zip(collectors, (real, generated, training), strict=True):
            if images is not None:
                collector.add(*(images if isinstance(images, tuple) else [images]))
        return measures

    return given


@pytest.fixture(scope="session")
def sets():
    """Images uint8 [599, 1, 28, 28] and labels, three times; `generated` is what a perfect generator would make."""
    source = Digits()
    (images, labels), (more_images, more_labels) = source.train(), source.test()
    images, labels = torch.cat([images, more_images]), torch.cat([labels, more_labels])
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    parts = [part for chosen in order.split(SIZE) for part in (images[chosen], labels[chosen])]
    return DigitSets(*parts)


@pytest.fixture
def pixels(sets, tmp_path, monkeypatch):
    """The images themselves. What is kept of the real ones is kept in the test's folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    parts = [(sets.generated, sets.generated_labels), (sets.training, sets.training_labels)]
    parts.append((sets.held_out, sets.held_out_labels))
    return Pixels(*(LabeledImages(*part) for part in parts), seed=0, name="generated")


@pytest.fixture(scope="session")
def measures(extractor, sets, collected):
    """All measures, with the real and the training set given; a test resets the generated one first."""
    wanted = build_measures(None, extractor, {"kid": {"subsets": 5, "subset_size": 200}})
    return collected(wanted, (sets.held_out, sets.held_out_labels), training=sets.training)


@pytest.fixture
def measure(measures):
    """A function from generated images and labels to all their measures."""

    def measured(images, labels=None):
        measures.generated.clear()
        measures.generated.add(images, labels)
        return measures.compute()

    return measured
