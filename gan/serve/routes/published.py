"""The endpoints of two published services, with their fields, so that a client of either works unchanged."""

import base64
from typing import Literal

from fastapi import Request, Response
from pydantic import BaseModel, Field
from torch import Tensor

from gan.generate.modes import Samples
from gan.images import base64_pngs
from gan.randomness import random_seed
from gan.serve.access import CheckedRoute
from gan.serve.responses import encoded, grid_png, image_or_grid_png, json_response, model_headers
from gan.serve.routes import Router
from gan.serve.schemas import Digit, Seed
from gan.serve.service import service_of

router = Router(route_class=CheckedRoute, tags=["published services"])


class ImageRequest(BaseModel, strict=True):  # here and below, unknown fields are ignored
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


class DigitRequest(BaseModel, strict=True):
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


class BatchRequest(BaseModel, strict=True):
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


async def _generate(
    request: Request, count: int, seed: int | None = None, digit: int | None = None
) -> tuple[Samples, Tensor, dict[str, str]]:
    """The samples of a model, their images, and the headers that name it. An unconditional model ignores the digit."""
    service = service_of(request)
    model = service.models.pick(digits=None if digit is None else [digit])
    chosen = random_seed() if seed is None else seed
    digits, classes = None, model.generator.num_classes
    if classes is not None:  # all in turn; the first depends on the seed, so that a single image is not always a 0
        digits = [(chosen + index) % classes for index in range(classes)] if digit is None else [digit]
    samples = model.samples([chosen], digits)
    images = await service.sample(model, samples, count, cached=seed is not None)
    return samples, images, model_headers(model, [chosen])


@router.post("/generate", response_model=GenerateResponse)
async def generate(request: Request, body: GenerateRequest | None = None) -> Response:
    """Images from a random seed, as PNG files in base64."""
    body = body or GenerateRequest()
    samples, images, headers = await _generate(request, body.num_images)
    pngs = await encoded(images, base64_pngs)
    content = GenerateResponse(images=pngs, num_images=len(pngs), latent_dim=samples.generator.latent_dim)
    return json_response(content, headers)


@router.post("/generate/image", response_class=Response, responses={200: {"content": {"image/png": {}}}})
async def generate_image(request: Request, body: ImageRequest | None = None) -> Response:
    """One image as a PNG file, or several as a grid."""
    _, images, headers = await _generate(request, (body or ImageRequest()).num_images)
    return Response(await encoded(images, image_or_grid_png), headers=headers, media_type="image/png")


@router.post("/generate-digit", response_model=DigitResponse)
async def generate_digit(request: Request, body: DigitRequest | None = None) -> Response:
    """One image for a digit and a seed; `note` says whether the model could be given the digit."""
    body = body or DigitRequest()
    samples, images, headers = await _generate(request, 1, body.seed, body.digit)
    if samples.digits is not None:
        choice = "as requested" if body.digit is not None else "chosen by the seed, since none was requested"
        note = f"The model is conditional: it generated a {samples.digits[0]}, {choice}."
    elif body.digit is not None:
        note = f"The model is unconditional: it cannot generate a {body.digit} on request; the seed decides the digit."
    else:
        note = "The model is unconditional: the seed decides the digit."
    (image,) = await encoded(images, base64_pngs)
    content = DigitResponse(image=image, requested_digit=body.digit, seed=samples.seeds[0], note=note)
    return json_response(content, headers)


@router.post("/generate-digits-batch", response_model=BatchGridResponse | BatchImagesResponse)
async def generate_digits_batch(request: Request, body: BatchRequest | None = None) -> Response:
    """Images from a random seed in base64: a PNG file of each, or one of all."""
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
