"""The settings of a service: the keys of `conf/serve.yaml`, which explains them."""

import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from ipaddress import ip_network
from os.path import expanduser
from pathlib import Path
from typing import Annotated, Self

import limits
from joblib import cpu_count
from omegaconf import DictConfig, OmegaConf
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from gan.config.bounds import MAX_INDEX
from gan.config.early_checks import expand_home
from gan.errors import UserError
from gan.memory import memory_left
from gan.serve.command import PREFIX

NAME = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$"
VERSION = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,79}$"  # a label, + and a checksum
ROOT_PATH = r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~@+-]+)+"
ORIGIN = r"\*|(?!http://.*:80$|https://.*:443$)[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]+)?"
STORAGE = r"memory|rediss?://([^/?#]*@)?([^/?#:@\[\]]+|\[[0-9a-fA-F:.]+\])(:[0-9]+)?(/[0-9]*)?(\?.*)?"
SECRET = ("api_keys", "rate_limit_storage")
MAX_KEEP_HOURS = 100 * 366 * 24  # a date of a job stays within the years of `datetime`
WORKER_BYTES = 800 * 2**20  # a worker of the pretrained model has 650 MiB, most of it for torch
IN_ASCII = "in ASCII: programs encode other characters in a header differently"
BARE = re.compile(r"""(?!["'\[].*["'\]]$|#\s).+""")  # not as a line of an .env file, or a list in JSON, has it
OF_BARE_KEYS = "the bare key, without quotes, brackets or a comment"


def _split(value: object) -> object:
    if value is None:
        return []
    if not isinstance(value, str):
        return value
    parts = [part.strip() for part in value.split(",") if part.strip()]
    if not parts:
        raise ValueError("the list is empty; leave it out, or null")
    return parts


def _valid(check: Callable[[str], object], allowed: str) -> AfterValidator:
    """Refuses a text for which `check` returns nothing, or raises a ValueError or an ImportError."""

    def validate(value: str) -> str:
        with suppress(ValueError, ImportError):
            if check(value):
                return value
        raise ValueError(f"must be {allowed}")

    return AfterValidator(validate)


def _allows_requests(value: str) -> bool:
    return all(item.amount > 0 for item in limits.parse_many(value))


def _are_networks(value: str) -> bool:
    return value == "*" or all(ip_network(part.strip()) for part in value.split(","))


Split = BeforeValidator(_split)
Name = Annotated[str, Field(pattern=NAME)]
Key = Annotated[Name, BeforeValidator(lambda name: str(name) if type(name) is int else name)]  # Hydra quotes no key
Secret = Annotated[str, _valid(str.isascii, IN_ASCII), _valid(BARE.fullmatch, OF_BARE_KEYS)]
Package = Annotated[str, _valid(find_spec, "a package that can be imported here")]
Rate = Annotated[str, _valid(_allows_requests, "one request or more per period, such as 60/minute")]
Storage = Annotated[str, _valid(re.compile(STORAGE).fullmatch, "memory or a Redis server, such as redis://host:6379/0")]
Networks = Annotated[str, _valid(_are_networks, "addresses or networks such as 10.0.0.0/8, separated by commas, or *")]
ALLOWED_PATH = "a path such as /gan, of letters, digits and . _ ~ @ + -"
RootPath = Annotated[str, _valid(re.compile(f"({ROOT_PATH})?/?").fullmatch, ALLOWED_PATH)]
AS_SENT = "as browsers send it, such as https://example.org (lowercase, no path, no default port), or *"
Origin = Annotated[str, _valid(re.compile(ORIGIN).fullmatch, AS_SENT)]


class ModelSettings(BaseModel, extra="forbid"):
    """One model: its file, a label for its version, and its share of the requests that name no model."""

    ckpt: Annotated[str, AfterValidator(expanduser)] | None = None
    version: Name | None = None
    weight: float | None = Field(default=None, ge=0, le=1)


class Settings(BaseModel, extra="forbid", allow_inf_nan=False):
    """All keys of `conf/serve.yaml`, validated."""

    host: str
    port: int = Field(ge=0, le=65535)
    threads: int = Field(ge=1, le=1024)  # before workers, whose `auto` needs it
    workers: int = Field(ge=1, le=256)
    ui: bool
    ckpt: str | None
    models: dict[Key, ModelSettings] = Field(min_length=1)  # after ckpt, which it takes in
    default: Annotated[str, BeforeValidator(lambda name: "" if name is None else name)]  # "": the first, see below
    watch: bool
    device: str
    trust: Annotated[list[Package], Split]
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
    api_keys: Annotated[list[Secret], Split]
    api_keys_file: Path | None
    rate_limit: Rate | None
    rate_limit_storage: Storage
    cors_origins: Annotated[list[Origin], Split]
    trusted_proxies: Networks
    root_path: RootPath | None

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

    @field_validator("*", mode="before")  # the last one: it is the first that is called
    @classmethod
    def _plain(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation in (int, float):
            raise ValueError("must be a number, not a switch")  # pydantic reads true as 1
        return None if value in ("", "null") else value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.queue_size < self.max_images:
            raise ValueError(f"queue_size={self.queue_size}: must be at least max_images={self.max_images}")
        if self.drain_seconds >= self.shutdown_timeout:
            timeout = f"shutdown_timeout={self.shutdown_timeout}"
            raise ValueError(f"drain_seconds={self.drain_seconds}: must be less than {timeout}")
        self.default = self.default or next(iter(self.models))
        if self.default not in self.models:
            raise ValueError(f"default={self.default}: must be one of {', '.join(self.models)}")
        weight = self.models[self.default].weight
        rest = 1 - sum(model.weight or 0 for name, model in self.models.items() if name != self.default)
        if rest < -1e-9 or (weight is not None and abs(weight - rest) > 1e-9):
            raise ValueError(f"models: the weights must sum to 1; the others leave {rest:g} for {self.default}")
        self.models[self.default].weight = max(0.0, rest)
        if self.api_keys_file is not None:
            self.api_keys = [*self.api_keys, *_read_keys(self.api_keys_file)]
        return self


def read_settings(cfg: DictConfig) -> Settings:
    """The settings of a composed `conf/serve.yaml`; raises a UserError for the first invalid value."""
    expand_home(cfg)
    try:
        return Settings.model_validate(OmegaConf.to_container(cfg, resolve=True))
    except ValidationError as error:
        first = error.errors()[0]
    key, text = ".".join(str(part) for part in first["loc"]), first["msg"].removeprefix("Value error, ")
    if isinstance(first["input"], int | float) and first["type"] in ("string_type", "list_type", "path_type"):
        text = "must be a text; write it in quotes, since it was read as a number or a switch"
    if os.environ.get(variable := PREFIX + key.upper()) == "" and first["input"] is None:
        raise UserError(f"{variable} is empty; unset it, or give it a value")
    if key:  # else raised by `_consistent`, whose text names the key
        text = f"{key}: {text}" if key.startswith(SECRET) else f"{key}={first['input']}: {text}"
    raise UserError(text)


def _read_keys(path: Path) -> list[str]:
    try:
        keys = [line.strip() for line in path.read_text(encoding="ascii").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        reason = f"cannot be read ({error.strerror})" if isinstance(error, OSError) else f"must be {IN_ASCII}"
        raise ValueError(f"api_keys_file={path}: {reason}") from error
    if not keys:
        raise ValueError(f"api_keys_file={path}: has no key; write one per line")
    if not all(map(BARE.fullmatch, keys)):
        raise ValueError(f"api_keys_file={path}: each line must be {OF_BARE_KEYS}")
    return keys
