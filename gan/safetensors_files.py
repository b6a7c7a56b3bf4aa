"""Safetensors files: how a network's state is written to them and read from them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from gan.errors import UserError, one_line

PLAIN_STATE = "plain_state"


def pack(
    state: Mapping[str, Any], metadata: Mapping[str, str] | None = None, dtype: torch.dtype | None = None
) -> bytes:
    """A state dict as the content of a safetensors file; the same state gives the same bytes.

    A tensor that several names share is written under each of them, so that `load_state_dict` takes the tensors as they
    are. State that is not a tensor is kept as JSON in the metadata.

    Args:
        state: tensors on any device and in any memory layout, and plain values.
        metadata: texts by name, beside `format`, which other programs ask for.
        dtype: that of floating-point tensors in the file; None keeps their own.

    Raises:
        UserError: the state has something that such a file cannot hold.
    """
    plain = {name: value for name, value in state.items() if not isinstance(value, Tensor)}
    try:
        copies = {name: _copy(value, dtype) for name, value in state.items() if name not in plain}
        texts = {PLAIN_STATE: json.dumps(plain)} if plain else {}
        content = save(copies)
    except Exception as error:  # what a user's network keeps can make any step fail
        raise UserError(f"a safetensors file cannot hold the state of this network ({one_line(error)})") from error
    return _with_metadata(content, {"format": "pt", **(metadata or {}), **texts})


def unpack(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The state dict of a safetensors file, on the CPU, and its metadata. A damaged file raises any exception."""
    with safe_open(path, framework="pt") as file:
        state: dict[str, Any] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        metadata = file.metadata() or {}
    plain = json.loads(metadata.get(PLAIN_STATE, "{}"))
    return {**plain, **state}, metadata


def _copy(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    """A copy in contiguous memory of its own, so that none is shared."""
    kept = tensor.dtype if dtype is None or not tensor.is_floating_point() else dtype
    return tensor.detach().to("cpu", kept, copy=True).contiguous()


def _with_metadata(content: bytes, metadata: Mapping[str, str]) -> bytes:
    """The library writes metadata in random order; here it is in the order given."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps({"__metadata__": metadata, **json.loads(content[8:end])}).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[end:]
