"""Files of a network, and as JSON in their metadata what `DigitGenerator` has to know: safetensors and ONNX."""

import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, Self

import torch
from torch import Tensor, nn

from gan.atomic_write import write_atomic
from gan.errors import UserError, check_installed, one_line
from gan.inference.network_loading import build_network, check_output, example_inputs, prefixed_errors, weights_checksum
from gan.safetensors_files import pack, unpack

METADATA_KEY = "mnist_gan"
READERS = (".safetensors", ".onnx")
FORMAT_VERSION = 1
OPSET = 20
FACTS = {
    "model_name": str,
    "latent_dim": int,
    "num_classes": int | NoneType,
    "image_channels": int,
    "data": str | NoneType,
    "epoch": int,
    "images_seen": int,
    "total_parameters": int,
    "version": str,
}


class OnnxGenerator(nn.Module):
    """A generator that onnxruntime runs on the CPU. Torch does not see its weights."""

    def __init__(self, path: Path) -> None:
        check_installed(path.name, "export", "onnxruntime")
        import onnxruntime

        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 4  # onnxruntime also raises every error it would log
        self.path = path.absolute()
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        """A pickled or a deep copy reads the file again: a session belongs to one process."""
        return type(self), (self.path,)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """latents float [N, latent_dim], labels integers [N] -> images float [N, C, 28, 28] in [-1, 1]."""
        inputs = {"latents": latents} if labels is None else {"latents": latents, "labels": labels.long()}
        (images,) = self.session.run(["images"], {name: value.numpy() for name, value in inputs.items()})
        return torch.from_numpy(images)


def file_metadata(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a file says of a network: `FACTS`, its training's hyperparameters and, if known, its command."""
    return {name: facts[name] for name in (*FACTS, "hyper_parameters", "command") if name in FACTS or facts.get(name)}


def write_safetensors(
    network: nn.Module, metadata: Mapping[str, Any], path: Path, dtype: torch.dtype | None = None
) -> None:
    """Writes a network's weights, floating-point ones as `dtype`; None keeps their own type."""
    write_atomic(path, pack(network.state_dict(), {METADATA_KEY: _metadata_text(metadata)}, dtype))


def write_onnx(network: nn.Module, metadata: Mapping[str, Any], path: Path) -> None:
    """Writes a network's graph and weights: a dynamic batch of `latents` and, for a conditional network, `labels`."""
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


def _metadata_text(metadata: Mapping[str, Any]) -> str:
    try:
        return json.dumps({"format_version": FORMAT_VERSION, **metadata})
    except (TypeError, ValueError) as error:
        raise UserError(f"the hyperparameters are not plain values ({error})") from error


def read_export(path: Path, key: str, trust: Sequence[str] = ()) -> tuple[nn.Module, dict[str, Any]]:
    """The network of a file that ends in `READERS`, on the CPU, and its metadata; a UserError where that cannot be.

    `version`, the checksum of the weights, is there for an ONNX file only: its weights cannot be read here.
    """
    with prefixed_errors(f"{key}={path}", "not a readable export"):
        if path.suffix not in READERS:
            raise UserError(f"exported files end in {' or '.join(READERS)}")
        if not path.is_file():
            raise UserError("there is no such file")
        if path.suffix == ".onnx":
            network, metadata = _read_onnx(path)
        else:
            state, texts = unpack(path)
            metadata = _parse_metadata(texts.get(METADATA_KEY))
            network = build_network(metadata["hyper_parameters"]["generator"], metadata, state, trust)
            version = metadata.pop("version")
            # A network of another package may save something else than it loads.
            own = type(network).__module__.startswith("gan.networks.")
            if own and weights_checksum(network) != version:
                raise UserError("damaged, its weights are not those that were written")
        return network.requires_grad_(False), metadata


def _read_onnx(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    network = OnnxGenerator(path).eval()
    metadata = _parse_metadata(network.session.get_modelmeta().custom_metadata_map.get(METADATA_KEY))
    check_output(network, metadata)
    return network, metadata


def _parse_metadata(text: str | None) -> dict[str, Any]:
    metadata = json.loads(text) if text else None
    if not isinstance(metadata, dict) or "format_version" not in metadata:
        raise UserError("not a generator's file of `gan train` or `gan export`")
    if metadata["format_version"] != FORMAT_VERSION:
        raise UserError(f"its format is version {metadata['format_version']}, this mnist-gan reads {FORMAT_VERSION}")
    if metadata.get("network") == "discriminator":
        raise UserError("a discriminator, which generates nothing; the run's generator is in generator.safetensors")
    wrong = [name for name, kind in FACTS.items() if not isinstance(metadata.get(name), kind)]
    if wrong or not isinstance(metadata.get("hyper_parameters"), dict):
        raise UserError(f"its metadata is damaged: {', '.join(wrong or ['hyper_parameters'])}")
    return file_metadata(metadata)
