"""Images as the bodies of responses, and the headers that say which model generated them."""

import base64
import io
import zipfile
from collections.abc import Sequence

import numpy as np
from PIL import Image
from torch import Tensor

from gan.images import grid, pictures, png, save_gif
from gan.serve.models import Model

GIF_SCALE = 8
MAX_SEEDS_IN_HEADER = 16
MODEL_HEADERS = ("X-Model", "X-Model-Version", "X-Seed")


def model_headers(model: Model, seeds: Sequence[int]) -> dict[str, str]:
    """The model, its version and the seeds; of many seeds only the first, so that the header stays short."""
    shown = [str(seed) for seed in seeds[:MAX_SEEDS_IN_HEADER]] + ["..."] * (len(seeds) > MAX_SEEDS_IN_HEADER)
    return dict(zip(MODEL_HEADERS, (model.name, model.version, ",".join(shown)), strict=True))


def grid_png(images: Tensor, columns: int | None = None) -> bytes:
    return png(grid(images, columns))


def grid_base64(images: Tensor) -> str:
    return base64.b64encode(grid_png(images)).decode()


def image_or_grid_png(images: Tensor) -> bytes:
    """A single image without a border, several as a grid."""
    return png(pictures(images)[0]) if len(images) == 1 else grid_png(images)


def zip_of_pngs(images: Tensor, seeds: Sequence[int], digits: Sequence[int] | None) -> bytes:
    """A zip of PNG files named by index, seed and digit; the same bytes for the same images."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        add_pngs(archive, images, seeds, digits)
    return buffer.getvalue()


def add_pngs(
    archive: zipfile.ZipFile, images: Tensor, seeds: Sequence[int], digits: Sequence[int] | None, first: int = 0
) -> None:
    """Adds images to the zip file; `first` is the index of the first one, which the names begin with."""
    for index, picture in enumerate(pictures(images)):
        digit = "" if digits is None else f"_digit{digits[index]}"
        archive.writestr(zipfile.ZipInfo(f"{first + index:06d}_seed{seeds[index]}{digit}.png"), png(picture))


def npy(images: Tensor) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, images.numpy())
    return buffer.getvalue()


def gif(images: Tensor) -> bytes:
    """An animation, enlarged `GIF_SCALE` times."""
    size = (28 * GIF_SCALE,) * 2
    buffer = io.BytesIO()
    save_gif([picture.resize(size, Image.Resampling.NEAREST) for picture in pictures(images)], buffer)
    return buffer.getvalue()
