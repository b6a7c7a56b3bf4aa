"""The endpoints of two published services, with their fields: a client of either finds what it knows."""

import secrets
from collections.abc import Sequence

from fastapi import APIRouter, Response
from starlette.concurrency import run_in_threadpool
from torch import Tensor

from gan.serve import schemas
from gan.serve.models import Model
from gan.serve.responses import base64_pngs, grid_base64, headers, one_png
from gan.serve.service import Service, ServiceOf

router = APIRouter(tags=["published"])


def _digits(model: Model, seed: int) -> Sequence[int] | None:
    """All classes in turn, from one that depends on the seed: an image alone is not always a 0."""
    classes = model.generator.num_classes
    return None if classes is None else [(seed + index) % classes for index in range(classes)]


async def _draw(service: Service, count: int) -> tuple[Model, Tensor, dict[str, str]]:
    """Images of a random seed, and the headers that tell it."""
    model, seed = service.models.pick(), secrets.randbits(48)
    images = await service.sample(model, count, [seed], _digits(model, seed), None)
    return model, images, headers(model, [seed])


@router.get("/info")
async def info(service: ServiceOf) -> schemas.Info:
    """The default model."""
    about = service.models.default.info
    return schemas.Info(
        model_name=about["model_name"],
        latent_dim=about["latent_dim"],
        num_parameters=about["total_parameters"],
        checkpoint_epoch=about["epoch"],
        device=about["device"],
    )


@router.post("/generate", responses=schemas.PROBLEMS)
async def generate(
    service: ServiceOf, response: Response, body: schemas.GenerateRequest | None = None
) -> schemas.Generated:
    """Images of a random seed, as PNG files in base64."""
    body = body or schemas.GenerateRequest()
    model, images, told = await _draw(service, body.num_images)
    response.headers.update(told)
    encoded = await run_in_threadpool(base64_pngs, images)
    return schemas.Generated(images=encoded, num_images=len(encoded), latent_dim=model.generator.latent_dim)


@router.post(
    "/generate/image", response_class=Response, responses={200: {"content": {"image/png": {}}}, **schemas.PROBLEMS}
)
async def generate_image(service: ServiceOf, body: schemas.ImageRequest | None = None) -> Response:
    """One image as a PNG file, or several as a grid."""
    _, images, told = await _draw(service, (body or schemas.ImageRequest()).num_images)
    return Response(await run_in_threadpool(one_png, images), headers=told, media_type="image/png")


@router.post("/generate-digit", responses=schemas.PROBLEMS)
async def generate_digit(
    service: ServiceOf, response: Response, body: schemas.DigitRequest | None = None
) -> schemas.OneDigit:
    """One image of a digit and a seed; `note` says what was done where the model cannot choose the digit."""
    body = body or schemas.DigitRequest()
    seed = secrets.randbits(48) if body.seed is None else body.seed
    model = service.models.pick()
    conditional = model.generator.num_classes is not None
    digits = [body.digit] if conditional and body.digit is not None else _digits(model, seed)
    images = await service.sample(model, 1, [seed], digits, None)
    response.headers.update(headers(model, [seed]))
    if conditional:
        asked = "as asked for" if body.digit is not None else "chosen by the seed, since none was asked for"
        note = f"The model is conditional: it drew a {digits[0]}, {asked}."
    elif body.digit is not None:
        note = f"The model is unconditional: it draws no {body.digit} on demand; this is some digit, of the seed."
    else:
        note = "The model is unconditional: this is some digit, of the seed."
    (encoded,) = await run_in_threadpool(base64_pngs, images)
    return schemas.OneDigit(image=encoded, requested_digit=body.digit, seed=seed, note=note)


@router.post("/generate-digits-batch", responses=schemas.PROBLEMS)
async def generate_digits_batch(
    service: ServiceOf, response: Response, body: schemas.BatchRequest | None = None
) -> schemas.BatchGrid | schemas.BatchImages:
    """Images of a random seed, each as a PNG file in base64, or all as one."""
    body = body or schemas.BatchRequest()
    _, images, told = await _draw(service, body.batch_size)
    response.headers.update(told)
    if body.grid:
        return schemas.BatchGrid(image=await run_in_threadpool(grid_base64, images), batch_size=body.batch_size)
    encoded = await run_in_threadpool(base64_pngs, images)
    return schemas.BatchImages(images=encoded, batch_size=body.batch_size, count=len(encoded))


@router.get("/gan-model-info")
async def gan_model_info(service: ServiceOf) -> schemas.ModelInfo:
    """The default model."""
    model = service.models.default
    return schemas.ModelInfo(
        model_type=model.info["model_name"],
        noise_dimension=model.generator.latent_dim,
        output_channels=model.generator.image_channels,
        total_parameters=model.info["total_parameters"],
        trainable_parameters=model.info["trainable_parameters"],
        device=model.info["device"],
    )
