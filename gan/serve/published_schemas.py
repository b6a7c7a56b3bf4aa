"""The JSON bodies of the two published services. Their fields and values are contracts."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from gan.serve.schemas import Digit, Seed


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


class Health(BaseModel):
    status: str
    model_loaded: bool


class Overview(BaseModel):
    name: str
    version: str
    endpoints: dict[str, str]


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
