"""The service's own endpoints, under /v1: samples, interpolations, and the models."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated

from fastapi import Depends, HTTPException, Query, Request, Response
from torch import Tensor

from gan.errors import UserError
from gan.images import base64_pngs
from gan.randomness import random_seed
from gan.serve import responses, schemas
from gan.serve.access import CheckedRoute
from gan.serve.models import Model
from gan.serve.routes import Router
from gan.serve.service import Service, service_of


async def check_query(request: Request) -> None:
    """Raises a UserError for a query where none is read, and for a parameter given more than once."""
    route, given = request.scope["route"], request.query_params
    for name in given:
        if not route.dependant.query_params:
            hint = "; values go into the JSON body" if route.body_field else ""
            raise UserError(f"{name}: no query parameter is read here{hint}")
        if len(given.getlist(name)) > 1:
            raise UserError(f"{name}: given more than once")


router = Router(route_class=CheckedRoute, prefix="/v1", tags=["v1"], dependencies=[Depends(check_query)])
NPY = "application/octet-stream"
FORMATS: schemas.Responses = {200: {"content": {"image/png": {}, "application/zip": {}, NPY: {}}}}
PICTURE: schemas.Responses = {
    200: {"content": {"image/png": {}}},
    304: {"description": "The client's copy, named in If-None-Match, is still current"},
}
RELOAD = schemas.errors(
    {404: "There is no model of this name", 409: "The file cannot be used; the old model stays in use"}
)
GRID_IMAGES = 64
Encode = Callable[[Tensor], bytes]


@router.post("/generate", response_model=schemas.SampleResponse, responses=FORMATS)
async def generate(request: Request, body: schemas.SampleRequest | None = None) -> Response:
    """Images as JSON with PNG files in base64, one PNG grid, a zip of PNG files, or a NumPy array [N, C, 28, 28].

    The same model, seed and digits give the same images, as `gan generate` does.
    """
    service, body = service_of(request), body or schemas.SampleRequest()
    if body.columns is not None and body.format != "grid":
        raise UserError(f"columns={body.columns}: only with format=grid")
    seeds = body.chosen_seeds()
    model = service.models.pick(body.model, body.version, body.digits)
    count = body.num_images or len(body.digits or [0]) * len(seeds)
    model = await service.moved(model, body.directions)
    samples = model.samples(seeds, body.digits, body.truncation)
    images = await service.sample(model, samples, count, cached=body.seed is not None or body.seeds is not None)
    headers = responses.model_headers(model, seeds)
    if body.format == "json":
        content = schemas.SampleResponse(
            images=await responses.encoded(images, base64_pngs),
            digits=samples.labels(0, count).tolist() if samples.labelled else None,
            seed=seeds[0] if len(seeds) == 1 else None,
            seeds=seeds,
            num_images=count,
            model=model.name,
            version=model.version,
        )
        return responses.json_response(content, headers)
    formats: dict[str, tuple[Encode, str]] = {
        "grid": (partial(responses.grid_png, columns=body.columns), "image/png"),
        "zip": (partial(responses.zip_of_pngs, samples=samples), "application/zip"),
        "npy": (responses.npy, NPY),
    }
    encode, media_type = formats[body.format]
    return Response(await responses.encoded(images, encode), headers=headers, media_type=media_type)


@router.post(
    "/interpolate", response_model=schemas.InterpolationResponse, responses={200: {"content": {"image/gif": {}}}}
)
async def interpolate(request: Request, body: schemas.InterpolationRequest) -> Response:
    """A latent path from seed to seed, as an animated GIF or as PNG files in base64."""
    service = service_of(request)
    model = service.models.pick(body.model, body.version, body.digits)
    model = await service.moved(model, body.directions)
    images = await service.interpolate(model, body.seeds, body.digits, body.steps, body.truncation)
    headers = responses.model_headers(model, body.seeds)
    if body.format == "gif":
        return Response(await responses.encoded(images, responses.gif), headers=headers, media_type="image/gif")
    content = schemas.InterpolationResponse(
        **body.model_dump(include={"seeds", "digits", "steps"}),
        frames=await responses.encoded(images, base64_pngs),
        model=model.name,
        version=model.version,
    )
    return responses.json_response(content, headers)


@router.get("/digits/{digit}.png", response_class=Response, responses=PICTURE)
async def digit_png(request: Request, digit: schemas.Class, query: Annotated[schemas.LinkQuery, Query()]) -> Response:
    """A digit as a PNG file, for an `<img>` tag. With a seed, it changes only when the model does."""
    return await _picture(request, query, 1, [digit], responses.image_or_grid_png)


@router.get("/grid.png", response_class=Response, responses=PICTURE)
async def grid_png(request: Request, query: Annotated[schemas.GridQuery, Query()]) -> Response:
    """Several digits as one PNG file, for an `<img>` tag."""
    digits = None if query.digits is None else [int(digit) for digit in query.digits.split(",")]
    count = query.num_images or (GRID_IMAGES if digits is None else len(digits))
    return await _picture(request, query, count, digits, partial(responses.grid_png, columns=query.columns))


async def _picture(
    request: Request, query: schemas.LinkQuery, count: int, digits: Sequence[int] | None, encode: Encode
) -> Response:
    """A picture that a client may keep: for ever if the query names the version in full, else to ask for again."""
    service = service_of(request)
    model = service.models.pick(query.model, query.version, digits)
    service.check_count(count, "num_images")  # as `sample` does, but before a client's copy is called right
    seed = random_seed() if query.seed is None else query.seed
    samples = model.samples([seed], digits, query.truncation)
    headers = responses.model_headers(model, [seed])
    if query.seed is None:
        headers["Cache-Control"] = "no-store"
    else:
        headers |= responses.cache_headers(model, query.version == model.version, bool(service.settings.api_keys))
        if responses.is_current(",".join(request.headers.getlist("if-none-match")), headers["ETag"]):
            return Response(status_code=304, headers=headers)
    images = await service.sample(model, samples, count, cached=query.seed is not None)
    return Response(await responses.encoded(images, encode), headers=headers, media_type="image/png")


@router.get("/models")
async def models(request: Request) -> schemas.ModelList:
    """All models, the default among them, and the share of requests that each one gets."""
    service = service_of(request)
    entries = [_entry(service, model) for model in service.models.values()]
    return schemas.ModelList(default=service.settings.default, watch=service.settings.watch, models=entries)


@router.post("/models/{name}/reload", responses=RELOAD)
async def reload(request: Request, response: Response, name: schemas.Name) -> schemas.ModelEntry:
    """Reads the model's file again. The old model stays in use until the new one is loaded."""
    service = service_of(request)
    if name not in service.models:
        raise HTTPException(404, f"{name}: no such model; there is {', '.join(service.models)}")
    try:
        model = await service.models.reload(name)
    except UserError as error:
        raise HTTPException(409, f"The old model stays in use. {error}") from error
    response.headers.update({"X-Model": model.name, "X-Model-Version": model.version})
    return _entry(service, model)


def _entry(service: Service, model: Model) -> schemas.ModelEntry:
    return schemas.ModelEntry.model_validate(model.info | {"share": service.models.shares[model.name]})
