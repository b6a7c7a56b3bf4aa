"""The three number formats of an image, and pictures made of many images."""

import math
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor


def normalize(images: Tensor) -> Tensor:
    """uint8 [N, C, H, W] in 0..255 -> float32 of the same shape in [-1, 1], the networks' format."""
    return images.float().div_(127.5).sub_(1)


def quantize(images: Tensor) -> Tensor:
    """float [N, C, H, W] in [-1, 1] -> uint8 of the same shape in 0..255; the inverse of `normalize`."""
    return images.float().add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def unit(images: Tensor) -> Tensor:
    """uint8 [N, C, H, W] in 0..255 -> float32 of the same shape in [0, 1], the metrics' format."""
    return images.float().div_(255)


def grid(images: Tensor, columns: int | None = None, padding: int = 2) -> Image.Image:
    """One picture of all images, row by row.

    Args:
        images: uint8 [N, C, H, W] with C = 1 or 3.
        columns: images in a row; the square root of N, rounded up, when not given.
        padding: black pixels around each image.
    """
    count, channels, height, width = images.shape
    columns = min(count, columns or math.ceil(math.sqrt(count)))
    rows = math.ceil(count / columns)
    tiles = torch.zeros(rows * columns, channels, height + padding, width + padding, dtype=torch.uint8)
    tiles[:count, :, padding:, padding:] = images.cpu()
    sheet = tiles.unflatten(0, (rows, columns)).permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)
    array = torch.nn.functional.pad(sheet, (0, 0, 0, padding, 0, padding)).numpy()
    return Image.fromarray(array[:, :, 0] if channels == 1 else array)


def save_gif(frames: list[Image.Image], path: Path, seconds_per_frame: float = 0.1) -> None:
    """Writes the frames as an endlessly repeated animation."""
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=round(1000 * seconds_per_frame), loop=0)
