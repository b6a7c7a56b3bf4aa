"""Reads generators from files of `gan export` (safetensors or ONNX) and from the `generator.safetensors` of a run.

Such a file holds a network, and as JSON in its metadata what `DigitGenerator` has to know. `gan.export.formats`
writes it.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import NoneType
from typing import Any

import torch
from torch import Tensor, nn

from gan.errors import UserError, check_installed, one_line
from gan.inference.network_loading import build_network, check_output, weights_checksum
from gan.safetensors_files import unpack

METADATA_KEY = "mnist_gan"
READERS = (".safetensors", ".onnx")
FORMAT_VERSION = 1
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

    def __init__(self, session: Any) -> None:
        super().__init__()
        self.session = session

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """latents float [N, latent_dim], labels integers [N] -> images float [N, C, 28, 28] in [-1, 1]."""
        inputs = {"latents": latents} if labels is None else {"latents": latents, "labels": labels.long()}
        (images,) = self.session.run(["images"], {name: value.numpy() for name, value in inputs.items()})
        return torch.from_numpy(images)


def read_export(path: Path, key: str, trust: Sequence[str] = ()) -> tuple[nn.Module, dict[str, Any]]:
    """The network of an exported file, on the CPU, and the facts about it. Nothing in the file is executed.

    Args:
        path: ends in .safetensors or .onnx.
        key: config key that named the file, for error texts.
        trust: the user's packages that its network may come from.

    Returns:
        A frozen network in evaluation mode, called as network(latents, labels or None); and the facts named in `FACTS`.
        `version`, the checksum of the weights, is a fact of an ONNX file only: its weights cannot be read here.

    Raises:
        UserError: the file is damaged, not of this project or names a network that is not permitted; or onnxruntime is
            not installed.
    """
    with _prefixed_errors(f"{key}={path}"):
        if path.suffix not in READERS:
            raise UserError(f"exported files end in {' or '.join(READERS)}")
        if not path.is_file():
            raise UserError("there is no such file")
        if path.suffix == ".onnx":
            metadata, network = _read_onnx(path)
        else:
            state, texts = unpack(path)
            metadata = _parse_metadata(texts.get(METADATA_KEY))
            network = build_network(metadata["hyper_parameters"]["generator"], metadata, state, trust)
            version = metadata.pop("version")
            # A network of another package may save something else than it loads.
            own = type(network).__module__.startswith("gan.networks.")
            if own and weights_checksum(network) != version:
                raise UserError("damaged, its weights are not those that were written")
        return network.requires_grad_(False), {name: metadata[name] for name in FACTS if name in metadata}


def read_export_metadata(path: Path, key: str) -> dict[str, Any]:
    """All metadata of a .safetensors export: `FACTS`, `hyper_parameters` and, if known, its training's `command`.

    Errors are those of `read_export`.
    """
    with _prefixed_errors(f"{key}={path}"):
        return _parse_metadata(unpack(path)[1].get(METADATA_KEY))


def _read_onnx(path: Path) -> tuple[dict[str, Any], nn.Module]:
    check_installed(path.name, "export", "onnxruntime")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # onnxruntime also raises every error it would log
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    metadata = _parse_metadata(session.get_modelmeta().custom_metadata_map.get(METADATA_KEY))
    network = OnnxGenerator(session).eval()
    check_output(network, metadata)
    return metadata, network


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
    return metadata


@contextmanager
def _prefixed_errors(prefix: str) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        raise UserError(f"{prefix}: {error}") from error
    except Exception as error:  # a foreign file can make parsers and constructors raise any exception
        raise UserError(f"{prefix}: not a readable export ({one_line(error)})") from error
