"""What is asked for and answered, in JSON. Numbers whose bounds are settings are checked when a request is read."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gan.serve.settings import NAME

Seed = Annotated[int, Field(ge=0, lt=2**63)]
Digit = Annotated[int, Field(ge=0, le=9)]
Class = Annotated[int, Field(ge=0, le=999)]
Truncation = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False, description="limit of the latents' values")]
ModelName = Annotated[str, Field(pattern=NAME)]


class Problem(BaseModel):
    """Why there is no other answer."""

    detail: str = Field(description="one sentence")
    errors: list[dict[str, Any]] | None = Field(None, description="of a value: where it is, and what is wrong with it")


PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The body is no JSON text"},
    408: {"model": Problem, "description": "The body did not arrive in time"},
    413: {"model": Problem, "description": "The body is too large"},
    422: {"model": Problem, "description": "A value cannot be used"},
    503: {
        "model": Problem,
        "description": "Too much is waiting; Retry-After says when to try again",
    },
    504: {"model": Problem, "description": "The answer took too long"},
}
KEY_PROBLEM = {401: {"model": Problem, "description": "No key that is known in X-API-Key"}}
RATE_PROBLEM = {429: {"model": Problem, "description": "Too many requests; Retry-After says when to try again"}}


class PublishedRequest(BaseModel):
    """Of a client of a published system: what it sends besides is not looked at."""

    model_config = ConfigDict(strict=True)


class GenerateRequest(PublishedRequest):
    num_images: int = Field(1, ge=1)
    return_format: Literal["base64"] = "base64"


class Generated(BaseModel):
    images: list[str] = Field(description="PNG files in base64")
    num_images: int
    latent_dim: int


class ImageRequest(PublishedRequest):
    num_images: int = Field(1, ge=1)


class Health(BaseModel):
    status: str
    model_loaded: bool


class Overview(BaseModel):
    name: str
    version: str
    endpoints: dict[str, str]


class Info(BaseModel):
    model_config = ConfigDict(protected_namespaces=())
    model_name: str
    latent_dim: int
    num_parameters: int
    checkpoint_epoch: int
    device: str


class DigitRequest(PublishedRequest):
    digit: Digit | None = None
    seed: Seed | None = None


class OneDigit(BaseModel):
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


class BatchGrid(BaseModel):
    success: Literal[True] = True
    image: str
    format: Literal["base64_png"] = "base64_png"
    batch_size: int
    layout: Literal["grid"] = "grid"


class BatchImages(BaseModel):
    success: Literal[True] = True
    images: list[str]
    format: Literal["base64_png"] = "base64_png"
    batch_size: int
    count: int


class ModelInfo(BaseModel):
    model_config = ConfigDict(protected_namespaces=())
    success: Literal[True] = True
    model_type: str
    noise_dimension: int
    output_size: Literal["28x28"] = "28x28"
    output_channels: int
    total_parameters: int
    trainable_parameters: int
    device: str


class DrawRequest(BaseModel):
    """What the requests under /v1 have in common."""

    model_config = ConfigDict(strict=True, extra="forbid")
    digits: list[Class] | None = Field(None, min_length=1, description="image i shows digits[i mod their number]")
    truncation: Truncation | None = None
    model: ModelName | None = Field(None, description="of /v1/models; null: the service chooses")
    version: ModelName | None = None


class SampleRequest(DrawRequest):
    num_images: int | None = Field(None, ge=1, description="null: one of each of the digits for each of the seeds")
    seed: Seed | None = Field(None, description="null: a random one")
    seeds: list[Seed] | None = Field(None, min_length=1, description="take turns; in place of seed")
    format: Literal["json", "grid", "zip", "npy"] = "json"
    columns: int | None = Field(None, ge=1, le=1000, description="of a grid")


class Drawn(BaseModel):
    images: list[str] = Field(description="PNG files in base64")
    digits: list[int] | None = Field(description="what each image shows; null for an unconditional model")
    seed: int | None
    seeds: list[int]
    num_images: int
    model: str
    version: str
    format: Literal["base64_png"] = "base64_png"
    size: Literal["28x28"] = "28x28"


class WayRequest(DrawRequest):
    seeds: list[Seed] = Field(min_length=2)
    steps: int = Field(12, ge=2, le=64, description="images from each seed to the next, both included")
    format: Literal["gif", "frames"] = "gif"


class Way(BaseModel):
    frames: list[str] = Field(description="PNG files in base64")
    seeds: list[int]
    digits: list[int] | None
    steps: int
    model: str
    version: str


class ModelEntry(BaseModel):
    name: str
    version: str
    share: float = Field(description="the part it gets of the requests that name no model")
    path: str
    latent_dim: int
    classes: list[int] | None
    parameters: int
    epoch: int
    device: str
    loaded_at: datetime


class ModelList(BaseModel):
    default: str
    models: list[ModelEntry]


class Readiness(BaseModel):
    status: str
