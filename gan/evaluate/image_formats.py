"""Images of any common form -> uint8 [N, C, 28, 28], and their labels -> int64 [N]."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from gan.errors import UserError

SIZE = 28
CHANNELS = (1, 2, 3, 4)
LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R 601, as in Pillow
PIECE = 1000
FORMS = "[N, 28, 28], [N, C, 28, 28], [N, 28, 28, C] or [N, 784]"
SLACK = 0.01  # how far floats may leave 0..1 or -1..1, as the result of a resize does
FULL = 2  # what floats of 0..255 reach; those of 0..1 with noise may be a little above 1
Images = Tensor | np.ndarray | Sequence[Any]


def as_images(
    images: Images, channels: int, resize: str | None, invert: bool, what: str, of_8_bits: bool = False
) -> Tensor:
    """uint8 [N, C, 28, 28] in 0..255, of which MNIST's background is 0; `what` names the images in error texts.

    Integers are 0..255 (certainly if `of_8_bits`), or 0 and 1. Floats are 0..1, -1..1 or 0..255, as their least and
    largest value show. Colour becomes grey by its luminance; the transparent is the background, so white with `invert`.
    """
    stacked = _channels_first(_tensor(images, what), what)
    scale, shift = (1, 0) if of_8_bits else _range(stacked, what)
    height, width = stacked.shape[2:]
    if (height, width) != (SIZE, SIZE) and resize is None:
        words = "resize=crop (takes the middle, or adds black), area, bilinear, bicubic or nearest"
        raise UserError(f"{what}: images of {height}x{width}; {words} makes 28x28 of them")
    if height != width and resize != "crop":
        raise UserError(f"{what}: images of {height}x{width} would be distorted; resize=crop keeps their form")
    pieces = []
    for piece in stacked.split(PIECE):
        pixels = _with_channels(piece.float() * scale + shift, channels, 255 if invert else 0, what)
        pixels = _resized(255 - pixels if invert else pixels, resize)
        pieces.append(pixels.round_().clamp_(0, 255).to(torch.uint8))
    return torch.cat(pieces)


def as_labels(labels: Any, count: int, num_classes: int | None, what: str) -> Tensor | None:
    """int64 [N]; None where all are -1, which `gan generate` writes for images without a label."""
    values = _tensor(labels, what)
    if values.dim() == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.dim() != 1 or len(values) != count:
        raise UserError(f"{what}: labels {list(values.shape)} for {count:,} images; one whole number for each image")
    if bool((values != values.long()).any()):
        raise UserError(f"{what}: labels are whole numbers")
    values = values.long()
    if bool((values == -1).all()):
        return None
    wrong = values[(values < 0) | (values >= (num_classes or 10**9))]
    if len(wrong):
        raise UserError(f"{what}: it has the label {wrong[0]}; labels are 0..{num_classes - 1 if num_classes else ''}")
    return values


def _tensor(values: Any, what: str) -> Tensor:
    try:
        if isinstance(values, Tensor):
            found = values
        else:  # a copy that is not reversed, and whose bytes are in the order of this machine
            array = np.asarray(values)
            if array.dtype.kind not in "biufc":  # those of bool, integers, floats and complex numbers
                raise TypeError(f"it has {array.dtype.name}")
            found = torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C"))
    except (TypeError, ValueError) as error:
        raise UserError(f"{what}: not an array of numbers ({error})") from error
    if found.is_complex():
        raise UserError(f"{what}: complex numbers")
    if found.layout != torch.strided or found.is_quantized or found.is_meta:
        raise UserError(f"{what}: not a dense tensor of numbers")
    found = found.detach().cpu()
    if found.dtype in (torch.uint8, torch.float32, torch.float64):
        return found
    return found.float() if found.is_floating_point() else found.long()


def _channels_first(images: Tensor, what: str) -> Tensor:
    shape = list(images.shape)
    if not shape or 0 in shape:
        raise UserError(f"{what}: no images in an array of {shape}")
    if len(shape) == 3 and 1 in shape[1:]:  # the pixels in a row
        return _channels_first(images.flatten(1), what)
    transposed = (len(shape) == 2 and shape[0] == SIZE**2 != shape[1]) or (
        len(shape) == 3 and shape[0] == shape[1] != shape[2]
    )
    if transposed:
        raise UserError(f"{what}: an array of {shape}, whose last axis counts the images; not {FORMS}")
    if len(shape) == 2 and (side := math.isqrt(shape[1])) ** 2 == shape[1]:
        return images.reshape(-1, 1, side, side)
    if len(shape) == 3:
        return images.unsqueeze(1)
    if len(shape) == 4:
        if shape[1] in CHANNELS and (shape[2] == shape[3] or shape[3] not in CHANNELS):
            return images
        if shape[3] in CHANNELS:
            return images.permute(0, 3, 1, 2)
    raise UserError(f"{what}: an array of {shape}, not {FORMS}")


def _range(images: Tensor, what: str) -> tuple[float, float]:
    """Factor and summand that bring the pixels to 0..255."""
    if images.is_floating_point() and not bool(images.isfinite().all()):
        raise UserError(f"{what}: some pixels are not finite")
    least, most = (value.item() for value in images.aminmax())
    if not images.is_floating_point():
        if least >= 0 and most <= 255:
            return (255, 0) if most <= 1 else (1, 0)
    elif most <= 1 + SLACK:
        if least >= -SLACK:
            return 255, 0
        if -1 - SLACK <= least < -0.5 - SLACK:  # those of -0.5..0.5 are none of the three
            return 127.5, 127.5
    elif least >= 0 and FULL <= most <= 255:
        return 1, 0
    raise UserError(
        f"{what}: pixels from {least:.4g} to {most:.4g}; they are 0..1, -1..1 or, with some of {FULL} or more, 0..255"
    )


def _with_channels(pixels: Tensor, channels: int, background: int, what: str) -> Tensor:
    if pixels.shape[1] in (2, 4):  # the last one is how opaque a pixel is
        pixels = background + (pixels[:, :-1] - background) * (pixels[:, -1:] / 255)
    if channels == 1 and pixels.shape[1] == 3:
        return (pixels * pixels.new_tensor(LUMINANCE).view(3, 1, 1)).sum(1, keepdim=True)
    if pixels.shape[1] != channels:
        raise UserError(f"{what}: its images have {pixels.shape[1]} channels, those of the data {channels}")
    return pixels


def _resized(pixels: Tensor, resize: str | None) -> Tensor:
    if tuple(pixels.shape[2:]) == (SIZE, SIZE):
        return pixels
    if resize == "crop":
        high, wide = ((SIZE - side) for side in pixels.shape[2:])
        return pad(pixels, (wide // 2, wide - wide // 2, high // 2, high - high // 2))
    assert resize is not None  # as `as_images` demands of these
    mode = "nearest-exact" if resize == "nearest" else resize
    return interpolate(pixels, (SIZE, SIZE), mode=mode, antialias=resize in ("bilinear", "bicubic"))
