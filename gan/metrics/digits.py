"""What can be told from images one by one: the digits a classifier reads, and how they look."""

import math

import torch
from torch import Tensor

from gan.images import unit


def digit_accuracy(digits: Tensor, labels: Tensor) -> float:
    """The share of images read as the digit that was asked for, 0..1.

    Args:
        digits: int64 [N], as read.
        labels: int64 [N], as asked for.
    """
    return (digits == labels).double().mean().item()


def class_balance(digits: Tensor, num_classes: int) -> float:
    """KL(p || uniform) = log K + sum p log p of the frequencies p, in nats: 0 when balanced, log K for one class.

    With the 1,000 classes of StackedMNIST and 26,000 samples this is the KL of Srivastava et al. 2017 and Metz et al.
    2017.

    Args:
        digits: int64 [N], as read.
        num_classes: K.
    """
    frequencies = torch.bincount(digits, minlength=num_classes).double() / len(digits)
    return max(0.0, math.log(num_classes) - torch.special.entr(frequencies).sum().item())


def modes(digits: Tensor) -> int:
    """The number of classes with at least one image (Metz et al. 2017).

    Args:
        digits: int64 [N], as read.
    """
    return len(digits.unique())


def confusion(labels: Tensor, digits: Tensor, num_classes: int) -> Tensor:
    """int64 [K, K]: how many images of each label (row) were read as each digit (column)."""
    return torch.bincount(labels * num_classes + digits, minlength=num_classes**2).view(num_classes, num_classes)


def appearance(images: Tensor) -> Tensor:
    """Brightness, contrast and sharpness of each image: float32 [N, 3].

    Brightness is the mean of the pixels in [0, 1]. Contrast is their standard deviation within the image (RMS contrast,
    Peli 1990). Sharpness is the mean of sqrt(dx^2 + dy^2), dx and dy the differences to the pixel on the right and to
    the one below (a Tenengrad with first differences), in brightness per pixel.

    Args:
        images: uint8 [N, C, H, W].
    """
    pixels = unit(images)
    dx = pixels[..., :-1, 1:] - pixels[..., :-1, :-1]
    dy = pixels[..., 1:, :-1] - pixels[..., :-1, :-1]
    sharpness = (dx.square_() + dy.square_()).sqrt_().flatten(1).mean(1)
    spread, brightness = torch.std_mean(pixels.flatten(1), dim=1, correction=0)
    return torch.stack([brightness, spread, sharpness], dim=1)


def quality(appearances: Tensor) -> dict[str, float]:
    """The look of a set of images: `mean`, `std`, `contrast` and `sharpness`, all of pixels in [0, 1].

    Mean and standard deviation are over all pixels of all images, contrast and sharpness the averages of the images'
    own. None is better high or low: they are to be near those of real images.

    Args:
        appearances: [N, 3], the images' `appearance`.
    """
    brightness, spread, sharpness = appearances.double().unbind(1)
    variance = (spread.square() + brightness.square()).mean() - brightness.mean().square()
    return {
        "mean": brightness.mean().item(),
        "std": variance.clamp_min(0).sqrt().item(),
        "contrast": spread.mean().item(),
        "sharpness": sharpness.mean().item(),
    }
