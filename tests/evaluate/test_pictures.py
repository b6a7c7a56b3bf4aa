"""The pictures that `gan evaluate` draws."""

import pytest
import torch
from my_gan import EdgeExtractor
from tiny_generators import save_checkpoint

from gan.data import Digits
from gan.evaluate.pictures import MAP_POINTS, confusion, feature_map, save_pictures
from gan.inference import DigitGenerator
from gan.metrics import ImageMeasures, build_extractor
from gan.metrics.features import ImageFeatures


@pytest.fixture(scope="module")
def digits():
    """Real digits: uint8 [597, 1, 28, 28] and labels."""
    return Digits().test()


@pytest.fixture
def seen(digits):
    """A function from generated images to what an extractor saw of real and of these."""

    def compared(images, labels=None, real=digits, extractor=None):
        measures = ImageMeasures(extractor or build_extractor("mnist"), ["fid"])
        measures.real.add(*real)
        measures.generated.add(images, labels)
        sets = measures.sets()
        return sets.real, sets.generated

    return compared


def panels(figure):
    """Points float [N, 2] and digits [N] of the real and of the generated panel."""
    drawn = [axes.collections[0] for axes in figure.axes]
    return [(torch.tensor(points.get_offsets().data), torch.tensor(points.get_array().data)) for points in drawn]


def test_real_images_in_place_of_generated_ones_are_the_same_points(digits, seen):
    (real, real_digits), (generated, generated_digits) = panels(feature_map(*seen(*digits), reads_digits=True))
    assert torch.equal(real, generated)
    assert torch.equal(real_digits, generated_digits)
    assert sorted(real_digits.tolist()) == sorted(digits[1].tolist())


def test_generated_points_are_the_generated_images(digits, seen):
    images, labels = digits
    (real, real_digits), (threes, _) = panels(feature_map(*seen(images[labels == 3]), reads_digits=True))
    expected = real[real_digits == 3]
    torch.testing.assert_close(threes[threes[:, 0].argsort()], expected[expected[:, 0].argsort()])


def test_the_plane_is_that_of_the_real_images(digits, seen):
    from sklearn.decomposition import PCA

    pca = PCA(2, svd_solver="full")
    real, generated = seen(255 - digits[0])
    expected = pca.fit(real.features).transform(generated.features)
    order = torch.randperm(len(generated), generator=torch.Generator().manual_seed(5))
    points, _ = panels(feature_map(real, generated, reads_digits=True, seed=5))[1]
    torch.testing.assert_close(points.abs(), torch.tensor(expected)[order].abs())


def test_several_digits_are_coloured_by_the_first(digits, seen):
    images, labels = digits[0][:30].view(10, 3, 28, 28), digits[1][:30]
    compared = seen(images, real=(images, labels.view(10, 3) @ torch.tensor([100, 10, 1])))
    (_, real_digits), (_, read) = panels(feature_map(*compared, reads_digits=True))
    order = torch.randperm(10, generator=torch.Generator().manual_seed(0))
    assert torch.equal(real_digits, labels[::3][order])
    assert (real_digits == read).float().mean() >= 0.8


def test_without_an_extractor_that_reads_digits_points_have_the_colours_of_labels(digits, seen):
    images, labels = digits
    figure = feature_map(*seen(images, extractor=EdgeExtractor()), reads_digits=False)
    (_, real_classes), (_, generated_classes) = panels(figure)
    assert sorted(real_classes.tolist()) == sorted(labels.tolist())
    assert set(generated_classes.tolist()) == {0}
    assert figure.legends[0].get_title().get_text() == "class"


def test_a_single_feature_is_shown_along_the_first_axis():
    one, other = torch.rand(2, 50, 1, dtype=torch.float64)
    compared = [ImageFeatures(rows, rows, rows[:, :0], None) for rows in (one, other)]
    (points, _), _ = panels(feature_map(*compared, reads_digits=False))
    assert points[:, 0].std() == pytest.approx(one.std().item())
    assert not points[:, 1].any()


def test_confusion():
    (axes,) = confusion(torch.tensor([0, 0, 2]), torch.tensor([0, 1, 2])).axes
    read = {text.get_position(): text.get_text() for text in axes.texts}
    assert read == {(0, 0): "50.0", (1, 0): "50.0", (2, 2): "100.0"}


@pytest.mark.slow
def test_it_is_saved_with_the_other_pictures(digits, tmp_path):
    images, labels = digits
    generator = DigitGenerator.from_checkpoint(save_checkpoint(tmp_path / "tiny.ckpt"), device="cpu")
    measures = ImageMeasures(build_extractor("mnist"), ["fid"])
    measures.real.add(images, labels)
    measures.generated.add(generator.generate(MAP_POINTS + 1, seed=0), generator.labels(None, 0, MAP_POINTS + 1))
    sets = measures.sets()
    figure = feature_map(sets.real, sets.generated, reads_digits=True)
    assert "2,000 generated" in figure.axes[1].get_title()
    shown = (generator.generate(200, seed=0), generator.labels(None, 0, 200))
    save_pictures(tmp_path, *shown, images, images, measures)
    figure.savefig(tmp_path / "again.png", dpi=150)
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "features.png").read_bytes()
