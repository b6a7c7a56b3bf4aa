"""The endpoints of two published services, with their fields, so that a client of either works unchanged."""

import base64
import secrets
from collections.abc import Sequence
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from gan.images import base64_pngs
from gan.serve.access import CheckedRoute
from gan.serve.models import Model
from gan.serve.responses import encoded, grid_png, image_or_grid_png, json_response, model_headers
from gan.serve.schemas import Digit, Seed
from gan.serve.service import service_of

router = APIRouter(route_class=CheckedRoute, tags=["published services"])


class PublishedRequest(BaseModel):
    """A request to a published service's endpoint. Unknown fields are ignored."""

    model_config = ConfigDict(strict=True)


class ImageRequest(PublishedRequest):
    num_images: int = Field(1, ge=1)


class GenerateRequest(ImageRequest):
    return_format: Literal["base64"] = "base64"


class GenerateResponse(BaseModel):
    images: list[str] = Field(description="PNG files in base64")
    num_images: int
    latent_dim: int


class Info(BaseModel):  # read from `DigitGenerator.info`
    model_name: str
    latent_dim: int
    num_parameters: int = Field(validation_alias="total_parameters")
    checkpoint_epoch: int = Field(validation_alias="epoch")
    device: str


class DigitRequest(PublishedRequest):
    digit: Digit | None = None
    seed: Seed | None = None


class DigitResponse(BaseModel):
    success: Literal[True] = True
    image: str
    format: Literal["base64_png"] = "base64_png"
    size: Literal["28x28"] = "28x28"
    requested_digit: Digit | None
    seed: int
    note: str


class BatchRequest(PublishedRequest):
    batch_size: int = Field(16, ge=1, le=64)
    grid: bool = False


class BatchGridResponse(BaseModel):
    success: Literal[True] = True
    image: str
    format: Literal["base64_png"] = "base64_png"
    batch_size: int
    layout: Literal["grid"] = "grid"


class BatchImagesResponse(BaseModel):
    success: Literal[True] = True
    images: list[str]
    format: Literal["base64_png"] = "base64_png"
    batch_size: int
    count: int


class GanModelInfo(BaseModel):  # read from `DigitGenerator.info`
    success: Literal[True] = True
    model_type: str = Field(validation_alias="model_name")
    noise_dimension: int = Field(validation_alias="latent_dim")
    output_size: Literal["28x28"] = "28x28"
    output_channels: int = Field(validation_alias="image_channels")
    total_parameters: int
    trainable_parameters: int
    device: str


def _classes(model: Model, seed: int) -> Sequence[int] | None:
    """All classes in turn. The first depends on the seed, so that a single image is not always a 0."""
    count = model.generator.num_classes
    return None if count is None else [(seed + index) % count for index in range(count)]


async def _generate(request: Request, count: int) -> tuple[Model, Tensor, dict[str, str]]:
    """The chosen model, its images for a random seed, and the headers that name both."""
    service = service_of(request)
    model, seed = service.models.pick(), secrets.randbits(48)
    images = await service.sample(model, model.samples([seed], _classes(model, seed)), count)
    return model, images, model_headers(model, [seed])


@router.post("/generate", response_model=GenerateResponse)
async def generate(request: Request, body: GenerateRequest | None = None) -> Response:
    """Images from a random seed, as PNG files in base64."""
    body = body or GenerateRequest()
    model, images, headers = await _generate(request, body.num_images)
    pngs = await encoded(images, base64_pngs)
    content = GenerateResponse(images=pngs, num_images=len(pngs), latent_dim=model.generator.latent_dim)
    return json_response(content, headers)


@router.post("/generate/image", response_class=Response, responses={200: {"content": {"image/png": {}}}})
async def generate_image(request: Request, body: ImageRequest | None = None) -> Response:
    """One image as a PNG file, or several as a grid."""
    _, images, headers = await _generate(request, (body or ImageRequest()).num_images)
    return Response(await encoded(images, image_or_grid_png), headers=headers, media_type="image/png")


@router.post("/generate-digit", response_model=DigitResponse)
async def generate_digit(request: Request, body: DigitRequest | None = None) -> Response:
    """One image for a digit and a seed; `note` says whether the model could be given the digit."""
    service = service_of(request)
    body = body or DigitRequest()
    seed = secrets.randbits(48) if body.seed is None else body.seed
    model = service.models.pick()
    conditional = model.generator.num_classes is not None
    digits = [body.digit] if conditional and body.digit is not None else _classes(model, seed)
    images = await service.sample(model, model.samples([seed], digits), 1, cached=body.seed is not None)
    if digits is not None:
        choice = "as requested" if body.digit is not None else "chosen by the seed, since none was requested"
        note = f"The model is conditional: it generated a {digits[0]}, {choice}."
    elif body.digit is not None:
        note = f"The model is unconditional: it cannot generate a {body.digit} on request; the seed decides the digit."
    else:
        note = "The model is unconditional: the seed decides the digit."
    (image,) = await encoded(images, base64_pngs)
    content = DigitResponse(image=image, requested_digit=body.digit, seed=seed, note=note)
    return json_response(content, model_headers(model, [seed]))


@router.post("/generate-digits-batch", response_model=BatchGridResponse | BatchImagesResponse)
async def generate_digits_batch(request: Request, body: BatchRequest | None = None) -> Response:
    """Images from a random seed as PNG files in base64, one for each or one for all."""
    body = body or BatchRequest()
    _, images, headers = await _generate(request, body.batch_size)
    if body.grid:
        grid = base64.b64encode(await encoded(images, grid_png)).decode()
        return json_response(BatchGridResponse(image=grid, batch_size=body.batch_size), headers)
    pngs = await encoded(images, base64_pngs)
    content = BatchImagesResponse(images=pngs, batch_size=body.batch_size, count=len(pngs))
    return json_response(content, headers)


@router.get("/info")
async def info(request: Request) -> Info:
    """The default model."""
    return Info.model_validate(service_of(request).models.default.info)


@router.get("/gan-model-info")
async def gan_model_info(request: Request) -> GanModelInfo:
    """The default model, with the field names of the published GAN API."""
    return GanModelInfo.model_validate(service_of(request).models.default.info)
