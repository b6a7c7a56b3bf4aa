"""The settings of a service: the keys of `conf/serve.yaml`, which explains them."""

import json
import re
from collections.abc import Sequence
from ipaddress import ip_network
from os.path import expanduser
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

import limits
from joblib import cpu_count
from omegaconf import DictConfig, OmegaConf
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from gan.config.bounds import MAX_INDEX
from gan.errors import UserError
from gan.memory import memory_left

NAME = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$"
VERSION = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,79}$"  # a label, + and a checksum
ROOT_PATH = r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~@+-]+)+"
ORIGIN = r"(?!http://.*:80$|https://.*:443$)[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]+)?"
SECRET = ("api_keys", "rate_limit_storage")
MAX_KEEP_HOURS = 100 * 366 * 24  # a date of a job stays within the years of `datetime`
WORKER_BYTES = 800 * 2**20  # a worker of the pretrained model has 650 MiB, most of it for torch


def _split(value: object) -> object:
    if value is None:
        return []
    if not isinstance(value, str):
        return value
    parts = [part.strip() for part in value.split(",") if part.strip()]
    if not parts:
        raise ValueError("the list is empty; leave it out, or null")
    return parts


def _rate(value: str) -> str:
    try:
        items = limits.parse_many(value)
    except ValueError as error:
        raise ValueError("must be a number and a period, such as 60/minute") from error
    if any(item.amount < 1 for item in items):
        raise ValueError("must allow at least one request per period, such as 60/minute")
    return value


def _storage(value: str) -> str:
    try:
        address = urlsplit(value)
        redis = address.scheme in ("redis", "rediss") and address.hostname and address.port != 0
    except ValueError:  # the port
        redis = False
    if value != "memory" and not redis:
        raise ValueError("must be memory or the address of a Redis server, such as redis://localhost:6379/0")
    return value


def _addresses(value: str) -> str:
    try:
        for part in value.split(",") if value != "*" else []:
            ip_network(part.strip())
    except ValueError as error:
        raise ValueError(f"must be addresses or networks separated by commas, or *; {error}") from error
    return value


def _root_path(value: str) -> str | None:
    path = value.rstrip("/")
    if path and not re.fullmatch(ROOT_PATH, path):
        raise ValueError("must be a path such as /gan, of letters, digits and . _ ~ @ + -")
    return path or None


def _origin(value: str) -> str:
    if value != "*" and not re.fullmatch(ORIGIN, value):
        example = "https://example.org or http://localhost:3000"
        raise ValueError(f"must be as browsers send it, such as {example} (lowercase, no path, no default port), or *")
    return value


Texts = Annotated[list[str], BeforeValidator(_split)]
Name = Annotated[str, Field(pattern=NAME)]
Key = Annotated[Name, BeforeValidator(lambda name: str(name) if type(name) is int else name)]  # Hydra quotes no key


class ModelSettings(BaseModel):
    """One model: its file, a label for its version, and its share of the requests that name no model."""

    model_config = ConfigDict(extra="forbid")
    ckpt: Annotated[str, AfterValidator(expanduser)] | None = None
    version: Name | None = None
    weight: float | None = Field(default=None, ge=0, le=1)


class Settings(BaseModel):
    """All keys of `conf/serve.yaml`, validated."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    host: str
    port: int = Field(ge=0, le=65535)
    threads: int = Field(ge=1, le=1024)  # before workers, whose `auto` needs it
    workers: int = Field(ge=1, le=256)
    ui: bool
    ckpt: str | None
    models: dict[Key, ModelSettings]  # after ckpt, which it takes in
    default: Annotated[str, BeforeValidator(lambda name: "" if name is None else name)]  # "": the first, see below
    watch: bool
    device: str
    trust: Texts
    max_images: int = Field(ge=64)
    max_batch: int = Field(ge=1)
    batch_wait_ms: float = Field(ge=0, le=1000)
    queue_size: int = Field(ge=1)
    cache_bytes: int = Field(ge=0, le=2**40)
    request_timeout: float = Field(gt=0)
    keep_alive: int = Field(ge=1)
    max_requests: int = Field(ge=1)
    max_body_bytes: int = Field(ge=1024)
    drain_seconds: float = Field(ge=0)
    shutdown_timeout: int = Field(ge=1)
    jobs_dir: Path | None
    max_jobs: int = Field(ge=1, le=10_000)
    max_job_images: int = Field(ge=1, le=MAX_INDEX)
    max_jobs_gb: float = Field(gt=0)
    keep_jobs_hours: float = Field(gt=0, le=MAX_KEEP_HOURS)
    api_keys: Texts
    api_keys_file: Path | None
    rate_limit: Annotated[str, AfterValidator(_rate)] | None
    rate_limit_storage: Annotated[str, AfterValidator(_storage)]
    cors_origins: Annotated[list[Annotated[str, AfterValidator(_origin)]], BeforeValidator(_split)]
    trusted_proxies: Annotated[str, AfterValidator(_addresses)]
    root_path: Annotated[str, AfterValidator(_root_path)] | None

    @model_validator(mode="before")
    @classmethod
    def _empty_is_null(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {key: None if value in ("", "null") else value for key, value in values.items()}

    @field_validator("*", mode="before")
    @classmethod
    def _no_switch_for_a_number(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation in (int, float):
            raise ValueError("must be a number, not a switch")  # pydantic reads true as 1
        return value

    @field_validator("models", mode="before")
    @classmethod
    def _of_ckpt(cls, value: object, info: ValidationInfo) -> object:
        ckpt = info.data.get("ckpt")
        if value is None:
            return {"default": {"ckpt": ckpt}}
        if ckpt is not None:
            raise ValueError(f"names the files already, so leave out ckpt={ckpt}; give one of the two")
        return json.loads(value) if isinstance(value, str) else value

    @field_validator("workers", mode="before")
    @classmethod
    def _number_or_auto(cls, value: object, info: ValidationInfo) -> object:
        if value == "auto":
            return max(1, min(cpu_count() // info.data.get("threads", 1), memory_left() // WORKER_BYTES))
        if isinstance(value, str) and not value.lstrip("-").isdecimal():
            raise ValueError("must be a whole number, or auto for what cores and memory allow")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.queue_size < self.max_images:
            raise ValueError(f"queue_size={self.queue_size}: must be at least max_images={self.max_images}")
        if self.drain_seconds >= self.shutdown_timeout:
            timeout = f"shutdown_timeout={self.shutdown_timeout}"
            raise ValueError(f"drain_seconds={self.drain_seconds}: must be less than {timeout}")
        self.ckpt = None  # it is in `models`
        if not self.models:
            raise ValueError("models={}: must have at least one model; null serves the one of ckpt")
        self.default = self.default or next(iter(self.models))
        if self.default not in self.models:
            raise ValueError(f"default={self.default}: must be one of {', '.join(self.models)}")
        weight = self.models[self.default].weight
        rest = 1 - sum(model.weight or 0 for name, model in self.models.items() if name != self.default)
        if rest < -1e-9 or (weight is not None and abs(weight - rest) > 1e-9):
            raise ValueError(f"models: the weights must sum to 1; the others leave {rest:g} for {self.default}")
        self.models[self.default].weight = max(0.0, rest)
        _require_ascii("api_keys", self.api_keys)
        if self.api_keys_file is not None:
            self.api_keys = [*self.api_keys, *_read_keys(self.api_keys_file)]
            self.api_keys_file = None
        return self

    @property
    def shares(self) -> dict[str, float]:
        """The share of each model of the requests that name no model; they sum to 1."""
        return {name: model.weight or 0.0 for name, model in self.models.items()}


def read_settings(cfg: DictConfig) -> Settings:
    """The settings of a composed `conf/serve.yaml`; raises a UserError for the first invalid value."""
    try:
        return Settings.model_validate(OmegaConf.to_container(cfg, resolve=True))
    except ValidationError as error:
        first = error.errors()[0]
    key, text = ".".join(str(part) for part in first["loc"]), first["msg"].removeprefix("Value error, ")
    if isinstance(first["input"], int | float) and first["type"] in ("string_type", "list_type", "path_type"):
        text = "must be a text; write it in quotes, since it was read as a number or a switch"
    if key:  # else raised by `_consistent`, whose text names the key
        text = f"{key}: {text}" if key.startswith(SECRET) else f"{key}={first['input']}: {text}"
    raise UserError(text)


def _require_ascii(key: str, values: Sequence[str]) -> None:
    if not all(value.isascii() for value in values):
        raise ValueError(f"{key}: API keys must be ASCII; programs encode other characters in a header differently")


def _read_keys(path: Path) -> Sequence[str]:
    try:
        keys = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise ValueError(f"api_keys_file={path}: cannot be read ({reason})") from error
    if not keys:
        raise ValueError(f"api_keys_file={path}: has no key; write one per line")
    _require_ascii(f"api_keys_file={path}", keys)
    return keys
