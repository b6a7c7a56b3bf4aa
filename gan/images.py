"""Conversions between the three number formats of an image, and pictures made of many images."""

import base64
import io
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gan.atomic_write import write_atomic
from gan.errors import UserError

ANIMATION_SCALE = 8
VIEWED = 480


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
    """One picture that shows all images, row by row.

    Args:
        images: uint8 [N, C, H, W] with C = 1 or 3.
        columns: images in a row; None is the square root of N, rounded up.
        padding: black pixels around each image.

    Raises:
        UserError: less than one column.
    """
    if columns is not None and columns < 1:
        raise UserError(f"columns={columns}: at least 1")
    count, channels, height, width = images.shape
    columns = min(count, columns or math.ceil(math.sqrt(count)))
    rows = math.ceil(count / columns)
    tiles = torch.zeros(rows * columns, channels, height + padding, width + padding, dtype=torch.uint8, device="cpu")
    tiles[:count, :, padding:, padding:] = images.cpu()
    sheet = tiles.unflatten(0, (rows, columns)).permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)
    array = torch.nn.functional.pad(sheet, (0, 0, 0, padding, 0, padding)).numpy()
    return Image.fromarray(array[:, :, 0] if channels == 1 else array)


def pictures(images: Tensor) -> list[Image.Image]:
    """uint8 [N, C, H, W] with C = 1 or 3 -> one picture for each image."""
    arrays = images.cpu().permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array) for array in arrays]


def png(picture: Image.Image) -> bytes:
    """The picture as the content of a PNG file, compressed at the fastest level, which hardly enlarges 28x28 pixels."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def pngs(images: Tensor) -> list[bytes]:
    """uint8 [N, C, H, W] with C = 1 or 3 -> a PNG file for each image, in a third of the time that Pillow takes."""
    count, channels, height, width = images.shape
    rows = np.zeros((count, height, 1 + width * channels), np.uint8)  # a row begins with its filter, 0: none
    rows[:, :, 1:] = images.cpu().numpy().transpose(0, 2, 3, 1).reshape(count, height, width * channels)
    size = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    head, end = b"\x89PNG\r\n\x1a\n" + _png_chunk(b"IHDR", size), _png_chunk(b"IEND", b"")
    return [head + _png_chunk(b"IDAT", zlib.compress(content.data, 1)) + end for content in rows]


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def enlarge(picture: Image.Image, scale: int | None = None) -> Image.Image:
    """The picture with each pixel as `scale` x `scale` pixels; None: its longer side has 480 pixels or more."""
    scale = scale or math.ceil(VIEWED / max(picture.size))
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def save_picture(picture: Image.Image, path: Path) -> None:
    """Writes a PNG file atomically."""
    write_atomic(path, png(picture))


def base64_pngs(images: Tensor) -> list[str]:
    """uint8 [N, C, H, W] with C = 1 or 3 -> a PNG file for each image, in base64."""
    return [base64.b64encode(file).decode() for file in pngs(images)]


def animation(images: Tensor, scale: int | None = None) -> list[Image.Image]:
    """uint8 [N, C, 28, 28] as frames for `save_gif`; each pixel becomes `scale` x `scale` pixels, 8 x 8 by default."""
    return [enlarge(picture, scale or ANIMATION_SCALE) for picture in pictures(images)]


def save_gif(frames: list[Image.Image], file: Path | BinaryIO, seconds_per_frame: float = 0.1) -> None:
    """Writes the frames as an endlessly repeated animation."""
    duration = round(1000 * seconds_per_frame)
    frames[0].save(file, format="GIF", save_all=True, append_images=frames[1:], duration=duration, loop=0)
