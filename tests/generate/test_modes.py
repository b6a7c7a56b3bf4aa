"""Which images each mode generates."""

import numpy as np
import pytest
import torch
from PIL import Image

from gan.errors import UserError
from gan.generate import parse_seeds
from gan.generate.modes import Samples, Strips


def test_seeds_take_turns(generated, model):
    images = generated("a.npz", "digits=[3,1,4]", "seeds=[7,8]", "num_images=12")["images"]
    expected = [model.generate(3, [3, 1, 4], seed, first) for first in (0, 3) for seed in (7, 8)]
    assert np.array_equal(images, torch.cat(expected).numpy())
    images = generated("b.npy", "seeds=[0-2,9]", model="unconditional")
    alone = [generated(f"{seed}.npy", f"seeds={seed}", "num_images=1", model="unconditional") for seed in (0, 1, 2, 9)]
    assert np.array_equal(images, np.concatenate(alone))


@pytest.mark.parametrize("options", [("mode=direction",), ("mode=walk",), ("seeds=0-3",)])
def test_a_callers_default_type_and_device_change_no_image(generated, options):
    expected = generated("a.npz", *options, model="unconditional")
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    try:
        found = generated("b.npz", *options, model="unconditional")
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
    for name in ("images", "labels"):
        assert np.array_equal(found[name], expected[name])


@pytest.mark.parametrize("mode", ["sample", "class_sweep"])
def test_ranges_of_indices_make_up_one_long_run(generated, mode):
    options = (f"mode={mode}", "seeds=[2,3]", "digits=[0,5,6]", "truncation=0.7")
    whole = generated("whole.npz", *options, "num_images=700")
    parts = [generated(f"{first}.npz", *options, f"first={first}", "num_images=350") for first in (0, 350)]
    for name in ("images", "labels"):
        assert np.array_equal(whole[name], np.concatenate([part[name] for part in parts]))
    assert not np.array_equal(whole["images"], generated("other.npz", *options[:3], "num_images=700")["images"])


def test_a_class_sweep_has_a_latent_in_each_row_and_a_digit_in_each_column(generated, model):
    images = generated("a.npy", "mode=class_sweep", "digits=[3,1]", "seeds=4", "num_images=6")
    z = model.latents(4, 0, 3).repeat_interleave(2, dim=0)
    assert np.array_equal(images, model.sample(z, torch.tensor([3, 1] * 3)).numpy())
    assert Image.open(generated("a.png", "mode=class_sweep")).size == (2 * 302, 2 * 242)


def test_latent_paths_pass_through_the_first_image_of_each_seed(generated, model):
    ends = [model.generate(1, [digit], seed)[0].numpy() for seed, digit in ((5, 3), (6, 8), (9, 3))]
    path = generated("a.npz", "mode=interpolate", "seeds=[5,6,9]", "digits=[3,8]", "steps=5")
    assert path["labels"].tolist() == [3, 3, 3, 8, 8, 8, 8, 8, 3, 3]
    for index, end in ((0, 0), (4, 1), (5, 1), (9, 2)):
        assert np.array_equal(path["images"][index], ends[end])
    assert len(np.unique(path["images"].reshape(10, -1), axis=0)) == 9

    walk = generated("b.npz", "mode=walk", "seeds=[5,6,9]", "digits=[3,8,3]", "steps=4")
    assert walk["labels"].tolist() == [3, 3, 3, 8, 8, 8, 8, 3, 3, 3, 3, 3]
    assert len(np.unique(walk["images"].reshape(12, -1), axis=0)) == 12
    for index, end in ((0, 0), (4, 1), (8, 2)):
        assert np.array_equal(walk["images"][index], ends[end])
    assert Image.open(generated("c.gif", "mode=walk", "seeds=3", "num_images=24")).n_frames == 24


def test_a_strip_moves_one_image_along_a_direction(generated, model):
    options = ("mode=direction", "digits=[3,1]", "seeds=4")
    strips = generated("a.npz", *options, "direction=slant", "steps=5", "span=2")
    assert strips["labels"].tolist() == [3] * 5 + [1] * 5
    middles = model.generate(2, [3, 1], seed=4).numpy()
    for row in range(2):
        assert np.array_equal(strips["images"][5 * row + 2], middles[row])
        for column, amount in ((0, -2), (1, -1), (4, 2)):
            moved = model.moved({"slant": amount}).generate(2, [3, 1], seed=4)
            assert np.array_equal(strips["images"][5 * row + column], moved[row].numpy())
    parts = [generated(f"{first}.npz", *options, "steps=5", "num_images=7", f"first={first}") for first in (0, 7)]
    whole = generated("whole.npz", *options, "steps=5", "num_images=14")
    for name in ("images", "labels"):
        assert np.array_equal(whole[name], np.concatenate([part[name] for part in parts]))


@pytest.mark.parametrize(("steps", "span"), [(11, 3.0), (15, 2.3), (3, 0.7)])
def test_the_middle_of_a_strip_is_not_moved(model, steps, span):
    shifts = Strips(Samples(model, [3], [0]), "slant", steps, span).shifts
    assert not shifts[steps // 2].any()
    assert torch.equal(shifts[-1], span * model.direction("slant"))
    assert torch.equal(shifts, -shifts.flip(0))


def test_rows_of_strips(generated, model):
    count = len(model.directions)
    assert generated("a.npz", "mode=direction", "digits=[3]")["labels"].tolist() == [3] * 11 * count
    labels = generated("b.npz", "mode=direction", "direction=width", "steps=3")["labels"]
    assert labels.tolist() == [digit for digit in range(10) for _ in range(3)]
    assert len(generated("c.npy", "mode=direction", "direction=width", "steps=3", model="unconditional")) == 24
    assert Image.open(generated("d.png", "mode=direction", "direction=size", "seeds=0-1", "scale=1")).size == (332, 62)


def test_directions_move_the_images_of_every_mode(generated, model):
    moved = model.moved({"slant": 1.5, "thickness": 1})
    expected = moved.generate(2, [7, 3], seed=4).numpy()
    both = ("digits=[7,3]", "seeds=4", "directions={slant: 1.5, thickness: 1}")
    assert np.array_equal(generated("a.npy", *both), expected)
    assert np.array_equal(generated("b.npy", *both[:2], "directions.slant=1.5", "directions.thickness=1"), expected)
    path = generated("c.npy", "mode=interpolate", "digits=[7,3]", "seeds=[4,5]", both[2])
    assert np.array_equal(path[0], expected[0])
    assert np.array_equal(generated("d.npy", *both[:2], "directions=null"), model.generate(2, [7, 3], seed=4).numpy())


def test_images_come_in_small_pieces(model):
    samples = Samples(model, None, [0, 1])
    assert max(len(piece) for piece in samples.images(100, 1100)) == 256


def test_seeds():
    assert parse_seeds("0-3") == [0, 1, 2, 3]
    assert parse_seeds([7, "1-2"]) == [7, 1, 2]
    for wrong in ("3-1", "-1", "a", None, [], True, 1.5, "0-1000000"):
        with pytest.raises(UserError, match="seeds="):
            parse_seeds(wrong)
