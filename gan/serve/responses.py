"""From images to answers: PNG files, archives, and the headers that say what drew them."""

import base64
import io
import zipfile
from collections.abc import Sequence

import numpy as np
from PIL import Image
from torch import Tensor

from gan.images import as_format, grid, pictures, png, save_gif
from gan.serve.models import Model

GIF_SCALE = 8
SEEDS_SHOWN = 16
DRAWN_HEADERS = ("X-Model", "X-Model-Version", "X-Seed", "X-Request-ID")


def headers(model: Model, seeds: Sequence[int]) -> dict[str, str]:
    """What drew an answer; of many seeds the first ones, so that the header stays short."""
    shown = [str(seed) for seed in seeds[:SEEDS_SHOWN]] + ["..."] * (len(seeds) > SEEDS_SHOWN)
    return {"X-Model": model.name, "X-Model-Version": model.version, "X-Seed": ",".join(shown)}


def base64_pngs(images: Tensor) -> list[str]:
    return as_format(images, "base64")


def grid_png(images: Tensor, columns: int | None = None) -> bytes:
    return png(grid(images, columns))


def grid_base64(images: Tensor) -> str:
    return base64.b64encode(grid_png(images)).decode()


def one_png(images: Tensor) -> bytes:
    """A single image as it is, several as a grid."""
    return png(pictures(images)[0]) if len(images) == 1 else grid_png(images)


def zip_of_pngs(images: Tensor, seeds: Sequence[int], digits: Sequence[int] | None) -> bytes:
    """PNG files named by index, seed and digit; the same bytes for the same images."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for index, picture in enumerate(pictures(images)):
            digit = "" if digits is None else f"_digit{digits[index]}"
            archive.writestr(zipfile.ZipInfo(f"{index:06d}_seed{seeds[index]}{digit}.png"), png(picture))
    return buffer.getvalue()


def npy(images: Tensor) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, images.numpy())
    return buffer.getvalue()


def gif(images: Tensor) -> bytes:
    """An animation, eight times as large."""
    size = (28 * GIF_SCALE,) * 2
    buffer = io.BytesIO()
    save_gif([picture.resize(size, Image.Resampling.NEAREST) for picture in pictures(images)], buffer)
    return buffer.getvalue()
