"""The JSON bodies of requests and responses. Bounds that are settings, such as max_images, are checked in `Service`."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from gan.config.bounds import MAX_AMOUNT
from gan.errors import UserError
from gan.randomness import random_seed
from gan.serve.settings import VERSION, Name

Seed = Annotated[int, Field(ge=0, lt=2**63)]
Digit = Annotated[int, Field(ge=0, le=9)]
Class = Annotated[int, Field(ge=0, le=999)]
Truncation = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False, description="bound of the latent values")]
Amount = Annotated[float, Field(ge=-MAX_AMOUNT, le=MAX_AMOUNT, allow_inf_nan=False)]
Version = Annotated[str, Field(pattern=VERSION)]
Responses = dict[int | str, dict[str, Any]]  # by status, as FastAPI takes them


class ErrorResponse(BaseModel):
    """What went wrong."""

    detail: str = Field(description="one sentence")
    errors: list[dict[str, Any]] | None = Field(None, description="for invalid fields: where each is, and its error")


def errors(descriptions: dict[int, str]) -> Responses:
    """The error responses of an endpoint, by status."""
    return {status: {"model": ErrorResponse, "description": text} for status, text in descriptions.items()}


ERRORS = errors(
    {
        400: "The body cannot be parsed",
        408: "The body did not arrive in time",
        413: "The body is too large",
        422: "A value is invalid",
        503: "The service is overloaded; Retry-After says when to try again",
        504: "The request took too long",
    }
)


class V1Request(BaseModel, strict=True, extra="forbid"):
    """The fields that all requests for images under /v1 share."""

    digits: list[Class] | None = Field(None, min_length=1, description="used in turn; null: all classes")
    truncation: Truncation | None = None
    model: Name | None = Field(None, description="a name from /v1/models; null: the service chooses")
    version: Version | None = None


class Directions(BaseModel, strict=True, extra="forbid"):
    """How far the images move in each direction, in standard deviations."""

    slant: Amount = Field(0, description="more: leans to the right")
    thickness: Amount = Field(0, description="of the strokes")
    width: Amount = 0
    size: Amount = Field(0, description="width and height together")


class SeededRequest(V1Request):
    seed: Seed | None = Field(None, description="null: a random seed")
    seeds: list[Seed] | None = Field(None, min_length=1, description="several in place of seed, used in turn")

    def chosen_seeds(self) -> list[int]:
        """The seeds, or a random one. A UserError for both `seed` and `seeds`."""
        if self.seed is not None and self.seeds is not None:
            raise UserError("seed, seeds: give one of the two")
        return self.seeds or [random_seed() if self.seed is None else self.seed]


class SampleRequest(SeededRequest):
    num_images: int | None = Field(None, ge=1, description="null: one per digit and seed")
    directions: Directions | None = None
    format: Literal["json", "grid", "zip", "npy"] = "json"
    columns: int | None = Field(None, ge=1, le=1000, description="of the grid; null: about as many as rows")


class SampleResponse(BaseModel):
    images: list[str] = Field(description="PNG files in base64")
    digits: list[int] | None = Field(description="the digit of each image; null: the model is unconditional")
    seed: int | None = Field(description="null if there are several seeds")
    seeds: list[int]
    num_images: int
    model: str
    version: str
    format: Literal["base64_png"] = "base64_png"
    size: Literal["28x28"] = "28x28"


class InterpolationRequest(V1Request):
    seeds: list[Seed] = Field(min_length=2)
    steps: int = Field(12, ge=2, le=64, description="images from one seed to the next, both ends included")
    directions: Directions | None = None
    format: Literal["gif", "frames"] = "gif"


class InterpolationResponse(BaseModel):
    frames: list[str] = Field(description="PNG files in base64")
    seeds: list[int]
    digits: list[int] | None
    steps: int
    model: str
    version: str


class JobRequest(SeededRequest):
    num_images: int = Field(ge=1)
    format: Literal["npz", "idx", "zip"] = Field("npz", description="idx: MNIST's files, zip: PNG files; both in a zip")


class JobProgress(BaseModel):
    id: str
    state: Literal["queued", "running", "done", "failed"]
    num_images: int
    images_done: int
    format: Literal["npz", "idx", "zip"]
    seeds: list[int]
    digits: list[int] | None
    truncation: float | None
    model: str
    version: str
    created_at: datetime
    finished_at: datetime | None
    error: str | None = Field(description="why the job failed")


class JobEntry(JobProgress):
    expires_at: datetime | None = Field(description="when the service deletes a job that has ended")
    url: str
    download: str | None = Field(description="where the result is; null until the job is done")


class JobList(BaseModel):
    jobs: list[JobEntry]


class LinkQuery(BaseModel, extra="forbid"):
    """What the links to pictures share."""

    seed: Seed | None = Field(None, description="null: a random seed, a new picture each time")
    truncation: Truncation | None = None
    model: Name | None = Field(None, description="a name from /v1/models; null: the service chooses")
    version: Version | None = Field(None, description="with a version in full, the picture may be kept for ever")


class GridQuery(LinkQuery):
    digits: str | None = Field(
        None, pattern=r"^[0-9]{1,3}(,[0-9]{1,3})*$", description="used in turn, such as 3,1,4; null: all classes"
    )
    num_images: int | None = Field(None, ge=1, description="null: one per digit, or 64")
    columns: int | None = Field(None, ge=1, le=1000, description="null: about as many as rows")


class ModelEntry(BaseModel):  # all fields but `share` are read from `Model.info`
    name: str
    version: str
    share: float = Field(description="its share of the requests that name no model, 0 to 1")
    path: str
    latent_dim: int
    classes: list[int] | None
    parameters: int = Field(validation_alias="total_parameters")
    epoch: int
    images_seen: int = Field(description="real images that its training has used so far")
    device: str
    loaded_at: datetime


class ModelList(BaseModel):
    default: str
    watch: bool = Field(description="whether a new checkpoint replaces a model by itself")
    models: list[ModelEntry]


class ProbeStatus(BaseModel):
    status: str


class Health(ProbeStatus):
    model_loaded: bool


class Overview(BaseModel):
    name: str
    version: str
    endpoints: dict[str, str]
