"""Pictures: a grid, an animation, or a file for each image."""

import numpy as np
from PIL import Image


def test_what_a_killed_command_left_is_removed(generated, tmp_path):
    unfinished = tmp_path / "pictures" / ".gan-generate-x"
    unfinished.mkdir(parents=True)
    (unfinished / "000000.png").touch()
    folder = generated("pictures", "format=png", "num_images=1", model="unconditional")  # needs no overwrite=true
    assert [path.name for path in folder.iterdir()] == ["000000.png"]


def test_pictures(generated):
    array = generated("a.npy", "digits=[3,1,4]")
    assert (array.shape, array.dtype) == ((3, 1, 28, 28), np.uint8)
    assert Image.open(generated("a.png", "digits=[3,1,4]")).size == (6 * 92, 6 * 32)
    small = np.asarray(Image.open(generated("small.png", "digits=[3,1,4]", "scale=1")))
    assert small.shape == (32, 92)
    assert np.array_equal(
        np.asarray(Image.open(generated("large.png", "digits=[3,1,4]", "scale=3")))[1::3, 1::3], small
    )
    folder = generated("pictures", "digits=[3,1,4]", "format=png", "first=7", "num_images=2")
    assert sorted(path.name for path in folder.iterdir()) == ["000007_digit_1.png", "000008_digit_4.png"]
    expected = generated("b.npy", "digits=[3,1,4]", "first=8", "num_images=1")
    assert np.array_equal(np.asarray(Image.open(folder / "000008_digit_4.png")), expected[0, 0])
    folder = generated("pictures", "format=png", "num_images=1", "overwrite=true", model="unconditional")
    assert [path.name for path in folder.iterdir()] == ["000000.png"]
    assert Image.open(generated("colour.png", "num_images=4", model="colour")).mode == "RGB"
