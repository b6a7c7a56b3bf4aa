"""The service's own endpoints: digits, seeds and formats by choice, ways between images, the models themselves."""

import secrets
from functools import partial

from fastapi import APIRouter, HTTPException, Path, Response
from starlette.concurrency import run_in_threadpool

from gan.errors import UserError
from gan.serve import responses, schemas
from gan.serve.models import Model
from gan.serve.service import Service, ServiceOf

router = APIRouter(prefix="/v1", tags=["v1"])
NPY = "application/octet-stream"


@router.post(
    "/generate",
    response_model=schemas.Drawn,
    responses={200: {"content": {"image/png": {}, "application/zip": {}, NPY: {}}}, **schemas.PROBLEMS},
)
async def generate(
    service: ServiceOf, response: Response, body: schemas.SampleRequest | None = None
) -> schemas.Drawn | Response:
    """Images as JSON with PNG files in base64, one PNG grid, a zip of PNG files, or a NumPy array [N, C, 28, 28].

    The same model, seed and digits give the same images, as `gan generate` does.
    """
    body = body or schemas.SampleRequest()
    if body.seed is not None and body.seeds is not None:
        raise UserError("seed, seeds: name one of the two")
    model = service.models.pick(body.model, body.version)
    seeds = body.seeds or [secrets.randbits(48) if body.seed is None else body.seed]
    turn = len(body.digits or [0])
    count = body.num_images or turn * len(seeds)
    images = await service.sample(model, count, seeds, body.digits, body.truncation)

    classes = body.digits or model.info["classes"]
    shown = None if classes is None else [classes[index % len(classes)] for index in range(count)]
    drawn_from = [seeds[index // turn % len(seeds)] for index in range(count)]
    if body.format == "json":
        response.headers.update(responses.headers(model, seeds))
        return schemas.Drawn(
            images=await run_in_threadpool(responses.base64_pngs, images),
            digits=shown,
            seed=seeds[0] if len(seeds) == 1 else None,
            seeds=seeds,
            num_images=count,
            model=model.name,
            version=model.version,
        )
    encode, media_type = {
        "grid": (partial(responses.grid_png, columns=body.columns), "image/png"),
        "zip": (partial(responses.zip_of_pngs, seeds=drawn_from, digits=shown), "application/zip"),
        "npy": (responses.npy, NPY),
    }[body.format]
    content = await run_in_threadpool(encode, images)
    return Response(content, headers=responses.headers(model, seeds), media_type=media_type)


@router.post(
    "/interpolate",
    response_model=schemas.Way,
    responses={200: {"content": {"image/gif": {}}}, **schemas.PROBLEMS},
)
async def interpolate(service: ServiceOf, response: Response, body: schemas.WayRequest) -> schemas.Way | Response:
    """The ways from the first image of each seed to that of the next, as an animation or as PNG files in base64."""
    model = service.models.pick(body.model, body.version)
    images = await service.way(model, body.seeds, body.digits, body.steps, body.truncation)
    if body.format == "gif":
        content = await run_in_threadpool(responses.gif, images)
        return Response(content, headers=responses.headers(model, body.seeds), media_type="image/gif")
    response.headers.update(responses.headers(model, body.seeds))
    return schemas.Way(
        frames=await run_in_threadpool(responses.base64_pngs, images),
        seeds=body.seeds,
        digits=body.digits,
        steps=body.steps,
        model=model.name,
        version=model.version,
    )


@router.get("/models")
async def models(service: ServiceOf) -> schemas.ModelList:
    """All models, which is the default, and how the requests that name none are shared out."""
    return schemas.ModelList(
        default=service.settings.default, models=[_entry(service, model) for model in service.models]
    )


@router.post(
    "/models/{name}/reload",
    responses={
        404: {"model": schemas.Problem, "description": "There is no model of this name"},
        409: {"model": schemas.Problem, "description": "The file cannot be used; the model before draws on"},
        **schemas.PROBLEMS,
    },
)
async def reload(service: ServiceOf, response: Response, name: str = Path(pattern=schemas.NAME)) -> schemas.ModelEntry:
    """Opens the model's file again, as the settings name it. The one before draws until the new one is loaded."""
    if name not in service.models:
        raise HTTPException(404, f"{name}: no such model; there is {', '.join(service.settings.models)}")
    try:
        model = await service.reload(name)
    except UserError as error:
        raise HTTPException(409, f"The model before draws on. {error}") from error
    response.headers.update({"X-Model": model.name, "X-Model-Version": model.version})
    return _entry(service, model)


def _entry(service: Service, model: Model) -> schemas.ModelEntry:
    return schemas.ModelEntry(
        name=model.name,
        version=model.version,
        share=service.models.shares[model.name],
        path=str(model.generator.path),
        latent_dim=model.generator.latent_dim,
        classes=model.info["classes"],
        parameters=model.info["total_parameters"],
        epoch=model.info["epoch"],
        device=model.info["device"],
        loaded_at=model.loaded_at,
    )
