"""Images of many forms become the same uint8 [N, C, 28, 28]."""

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate, pad

from gan.errors import UserError
from gan.evaluate.image_formats import as_images, as_labels

BLOBS = interpolate(torch.rand(20, 1, 4, 4, generator=torch.Generator().manual_seed(0)), size=(20, 20), mode="bicubic")
IMAGES = pad(BLOBS.mul(255).clamp(0, 255), (4, 4, 4, 4)).to(torch.uint8)


def converted(images, channels=1, resize=None, invert=False):
    return as_images(images, channels, resize, invert, "images=x")


@pytest.mark.parametrize(
    "form",
    [
        IMAGES,
        IMAGES[:, 0],
        IMAGES.flatten(1),
        IMAGES.permute(0, 2, 3, 1).numpy(),
        IMAGES.expand(-1, 3, -1, -1),
        IMAGES.expand(-1, 3, -1, -1).permute(0, 2, 3, 1),
        torch.cat([IMAGES, torch.full_like(IMAGES, 255)], dim=1),
        torch.cat([IMAGES.expand(-1, 3, -1, -1), torch.full_like(IMAGES, 255)], dim=1),
        IMAGES / 255,
        IMAGES.double() / 127.5 - 1,
        IMAGES.float(),
        (IMAGES / 255).half(),
        IMAGES.long(),
        IMAGES.numpy().astype(np.uint16),
        list(IMAGES.numpy()),
        IMAGES.flatten(1).t().contiguous().t(),
        IMAGES.flatten(2),
        IMAGES.numpy().astype(">f4"),
        IMAGES.numpy()[:, :, ::-1][:, :, ::-1],
        IMAGES / 255 * 1.01 - 0.005,
    ],
)
def test_every_form_is_the_same_images(form):
    found = converted(form)
    assert (found.dtype, found.shape) == (torch.uint8, IMAGES.shape)
    assert (found.int() - IMAGES.int()).abs().max() <= 1


def test_zero_and_one_are_black_and_white():
    binary = IMAGES > 127
    for form in (binary, binary.int(), binary.float(), binary.numpy()):
        assert torch.equal(converted(form), binary * torch.tensor(255, dtype=torch.uint8))


def test_colour_becomes_grey_by_luminance_and_transparent_is_black():
    red = torch.zeros(1, 3, 28, 28, dtype=torch.uint8)
    red[:, 0] = 200
    assert converted(red).unique().tolist() == [60]
    half = torch.cat([red, torch.full((1, 1, 28, 28), 128, dtype=torch.uint8)], dim=1)
    assert converted(half).unique().tolist() == [30]
    assert torch.equal(converted(red, channels=3), red)


def test_sizes_change_only_with_a_word():
    padded = pad(IMAGES, (2, 2, 2, 2))
    with pytest.raises(UserError, match=r"images=x: images of 32x32; resize=crop .* area, bilinear, bicubic or near"):
        converted(padded)
    assert torch.equal(converted(padded, resize="crop"), IMAGES)
    assert torch.equal(converted(IMAGES[..., 4:-4, 4:-4], resize="crop"), IMAGES)
    doubled = IMAGES.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    for word in ("area", "nearest"):
        assert torch.equal(converted(doubled, resize=word), IMAGES)
    for word in ("bilinear", "bicubic"):
        assert (converted(doubled, resize=word).float() - IMAGES).abs().mean() < 8
    assert converted(padded[..., 2:-2], resize="crop").shape == IMAGES.shape
    with pytest.raises(UserError, match="32x28 would be distorted; resize=crop"):
        converted(padded[..., 2:-2], resize="area")


def test_light_becomes_dark():
    assert torch.equal(converted(255 - IMAGES, invert=True), IMAGES)


def test_black_digits_on_a_transparent_ground_become_light_on_dark():
    ink = torch.cat([torch.zeros_like(IMAGES), IMAGES], dim=1)
    assert torch.equal(converted(ink, invert=True), IMAGES)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES.float() - 40, r"pixels from -40 to 215; they are 0\.\.1, -1\.\.1 or, with some of 2 or more, 0\.\.255"),
        (IMAGES / 255 * 1.1, r"pixels from 0 to 1\.1; they are"),
        (IMAGES.int() * 2, r"pixels from 0 to 510"),
        (IMAGES.to_sparse(), "not a dense tensor of numbers"),
        (IMAGES.to("meta"), "not a dense tensor of numbers"),
        (IMAGES / 255 - 0.2, r"pixels from -0\.2 to 0\.8"),
        (IMAGES / 255 - 0.5, r"pixels from -0\.5 to 0\.5"),
        (IMAGES / 0.0, "some pixels are not finite"),
        (IMAGES[0, 0, 0], r"an array of \[28\], not \[N, 28, 28\], \[N, C, 28, 28\]"),
        (IMAGES[:0], r"no images in an array of \[0, 1, 28, 28\]"),
        (np.zeros((3, 0, 0), np.uint8), r"no images in an array of \[3, 0, 0\]"),
        (IMAGES.expand(-1, 5, -1, -1), r"an array of \[20, 5, 28, 28\]"),
        (IMAGES[:, 0, 0, :27], r"an array of \[20, 27\]"),
        (IMAGES.permute(2, 3, 1, 0)[:, :, 0], r"an array of \[28, 28, 20\], whose last axis counts the images; not"),
        (torch.zeros(784, 100), r"an array of \[784, 100\], whose last axis counts the images; not"),
        (["a", "b"], r"not an array of numbers \(it has str32\)"),
        (IMAGES.to(torch.complex64), "complex numbers"),
    ],
)
def test_what_is_no_image_is_one_line(images, message):
    with pytest.raises(UserError, match=f"^images=x: {message}") as raised:
        converted(images)
    assert "\n" not in str(raised.value)


def test_grey_images_are_not_three_digits():
    with pytest.raises(UserError, match="its images have 1 channels, those of the data 3"):
        converted(IMAGES, channels=3)


def test_labels():
    for form in ([1, 2, 3], np.array([1.0, 2, 3]), torch.tensor([[1], [2], [3]], dtype=torch.uint8)):
        assert as_labels(form, 3, 10, "labels=y").tolist() == [1, 2, 3]
    assert as_labels([-1, -1], 2, 10, "labels=y") is None
    for wrong, message in (
        ([1, 2], r"labels \[2\] for 3 images; one whole number for each image"),
        ([1, 2, 10], r"it has the label 10; labels are 0\.\.9"),
        ([1, -1, 3], "it has the label -1"),
        ([1, 2.5, 3], "labels are whole numbers"),
        ([[0, 1], [1, 0], [1, 0]], r"labels \[3, 2\] for 3 images"),
        (["one", "two", "three"], "not an array of numbers"),
    ):
        with pytest.raises(UserError, match=f"^labels=y: {message}"):
            as_labels(wrong, 3, 10, "labels=y")
