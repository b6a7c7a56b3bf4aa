"""Images as the bodies of responses, and the headers that say which model generated them."""

import io
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import BinaryIO, TypeVar

import numpy as np
from fastapi import Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from torch import Tensor

from gan.generate.modes import Samples
from gan.images import animation, grid, png, pngs, save_gif
from gan.serve.models import Model

Content = TypeVar("Content")
ENCODED_AT_ONCE = 16  # images; to hand these to a thread takes longer than to encode them
MAX_SEEDS_IN_HEADER = 16
SECONDS_PER_YEAR = 31_536_000
MODEL_HEADERS = ("X-Model", "X-Model-Version", "X-Seed")


def model_headers(model: Model, seeds: Sequence[int]) -> dict[str, str]:
    """The model, its version and the seeds; of many seeds only the first, so that the header stays short."""
    shown = [str(seed) for seed in seeds[:MAX_SEEDS_IN_HEADER]] + ["..."] * (len(seeds) > MAX_SEEDS_IN_HEADER)
    return dict(zip(MODEL_HEADERS, (model.name, model.version, ",".join(shown)), strict=True))


def cache_headers(model: Model, pinned: bool, private: bool) -> dict[str, str]:
    """The headers of a picture that depends on the URL and, unless this is pinned to a version, on the model in use."""
    who = "private" if private else "public"
    how = f"max-age={SECONDS_PER_YEAR}, immutable" if pinned else "no-cache"
    return {"ETag": f'W/"{model.name}-{model.version}"', "Cache-Control": f"{who}, {how}"}


def is_current(if_none_match: str, etag: str) -> bool:
    """Whether an If-None-Match header names an ETag; weak comparison, as RFC 9110 has it."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag.removeprefix("W/") in tags


def json_response(body: BaseModel, headers: Mapping[str, str]) -> Response:
    """A body that needs no check: FastAPI would validate each field again."""
    return Response(body.model_dump_json(), headers=headers, media_type="application/json")


async def encoded(images: Tensor, encode: Callable[[Tensor], Content]) -> Content:
    """The images as `encode` writes them. Many are encoded in a thread, since other requests do not wait for them."""
    return encode(images) if len(images) <= ENCODED_AT_ONCE else await run_in_threadpool(encode, images)


def grid_png(images: Tensor, columns: int | None = None) -> bytes:
    return png(grid(images, columns))


def image_or_grid_png(images: Tensor) -> bytes:
    """A single image without a border, several as a grid."""
    return pngs(images)[0] if len(images) == 1 else grid_png(images)


def zip_of_pngs(images: Tensor, samples: Samples) -> bytes:
    """A zip of PNG files named by index, seed and digit; the same bytes for the same images."""
    buffer = io.BytesIO()
    write_zip(buffer, [images], samples)
    return buffer.getvalue()


def write_zip(file: BinaryIO, pieces: Iterable[Tensor], samples: Samples) -> None:
    """Writes such a zip of images that come in pieces."""
    with zipfile.ZipFile(file, "w") as archive:
        start = 0
        for images in pieces:
            labels = samples.labels(start, start + len(images)).tolist()
            for index, content in enumerate(pngs(images), start):
                digit = f"_digit{labels[index - start]}" if samples.labelled else ""
                archive.writestr(zipfile.ZipInfo(f"{index:06d}_seed{samples.seed_of(index)}{digit}.png"), content)
            start += len(images)


def npy(images: Tensor) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, images.numpy())
    return buffer.getvalue()


def gif(images: Tensor) -> bytes:
    buffer = io.BytesIO()
    save_gif(animation(images), buffer)
    return buffer.getvalue()
