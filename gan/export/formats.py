"""The file formats of `gan export`, and how each is written. `gan.inference.exported_files` reads them."""

import json
import logging
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from gan.atomic_write import write_atomic
from gan.errors import UserError, one_line
from gan.inference.exported_files import FORMAT_VERSION, METADATA_KEY
from gan.inference.network_loading import example_inputs
from gan.safetensors_files import pack

OPSET = 20


class Format(NamedTuple):
    """A file format, written by write(network, metadata, path, type of the weights)."""

    write: Callable[[nn.Module, Mapping[str, Any], Path, torch.dtype], None]
    dtypes: tuple[str, ...]  # names of the types that weights can have
    packages: tuple[str, ...] = ()  # optional packages that it needs
    note: str = ""  # what the model card adds about it


def write_safetensors(
    network: nn.Module, metadata: Mapping[str, Any], path: Path, dtype: torch.dtype | None = None
) -> None:
    """Writes a network's weights, floating-point ones as `dtype`; None keeps their own type."""
    write_atomic(path, pack(network.state_dict(), {METADATA_KEY: _metadata_text(metadata)}, dtype))


def write_onnx(network: nn.Module, metadata: Mapping[str, Any], path: Path, dtype: torch.dtype) -> None:
    """Writes a network's graph and weights as they are; `dtype` must be that of the weights.

    The batch is dynamic. The inputs are `latents` and, for a conditional network, `labels`.

    Raises:
        UserError: the network has an operation that ONNX lacks.
    """
    inputs = [value for value in example_inputs(metadata, 2) if value is not None]
    batch = torch.export.Dim("batch")
    for name in ("onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own warnings say nothing about this network
        try:
            program = torch.onnx.export(
                network,
                tuple(inputs),
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=["latents", "labels"][: len(inputs)],
                output_names=["images"],
                dynamic_shapes=tuple({0: batch} for _ in inputs),
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise UserError(f"format=onnx: {metadata['model_name']} has no ONNX form ({one_line(error)})") from error
    assert program is not None  # with dynamo
    for node in program.model.graph:
        node.metadata_props.clear()  # stack traces with the paths of this machine
    program.model.metadata_props[METADATA_KEY] = _metadata_text(metadata)
    program.save(path, external_data=False)


FORMATS = {
    "safetensors": Format(write_safetensors, ("float32", "float16")),
    "onnx": Format(write_onnx, ("float32",), ("onnx", "onnxscript", "onnxruntime"), f" with opset {OPSET}"),
}


def _metadata_text(metadata: Mapping[str, Any]) -> str:
    try:
        return json.dumps({"format_version": FORMAT_VERSION, **metadata})
    except (TypeError, ValueError) as error:
        raise UserError(f"the hyperparameters are not plain values ({error})") from error
