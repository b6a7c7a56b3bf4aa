"""Exported generators: one safetensors or ONNX file that holds a network and what `DigitGenerator` has to know of it.

What is known is a JSON text under `HEADER`, in the header of a safetensors file and in the metadata of an ONNX one.
"""

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import NoneType
from typing import Any

import torch
from torch import Tensor, nn

from gan.errors import UserError, check_installed
from gan.inference.reading import check_draws, example_inputs, rebuild

SUFFIXES = (".safetensors", ".onnx")
HEADER = "mnist_gan"
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
OPSET = 20
Opened = tuple[str | None, Callable[[Mapping[str, Any], Sequence[str]], nn.Module]]


class OnnxGenerator(nn.Module):
    """A generator run by onnxruntime on the CPU; it has no weights that torch knows of."""

    def __init__(self, session: Any) -> None:
        super().__init__()
        self.session = session

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """latents float [N, latent_dim], labels int64 [N] -> images float [N, C, 28, 28] in [-1, 1]."""
        inputs = {"latents": latents} if labels is None else {"latents": latents, "labels": labels}
        (images,) = self.session.run(["images"], {name: value.numpy() for name, value in inputs.items()})
        return torch.from_numpy(images)


def read_export(path: Path, key: str, trust: Sequence[str] = ()) -> tuple[nn.Module, dict[str, Any]]:
    """The network of an exported file, on the CPU, and the facts of it; nothing in the file is executed.

    Args:
        path: ends in .safetensors or .onnx.
        key: the config key that named it, for the error's text.
        trust: packages of one's own that its network may come from.

    Returns:
        A frozen network in evaluation mode, called as network(latents, labels or None); and what `FACTS` names, the
        version for ONNX alone: it is that of the weights the file was made of, which nobody can see in it.

    Raises:
        UserError: a file that is damaged, foreign or names what may not be built, or onnxruntime is missing.
    """
    with _mistakes_named(f"{key}={path}"):
        header, load = _open(path)
        about = _checked(header)
        network = load(about, trust).requires_grad_(False)
        if not isinstance(network, OnnxGenerator):
            del about["version"]  # its weights can be seen
        return network, {name: about[name] for name in FACTS if name in about}


def read_about(path: Path, key: str) -> dict[str, Any]:
    """All that a file says of itself: the facts, `hyper_parameters` and the `command` of its training, or None.

    Raises:
        UserError: as for `read_export`.
    """
    with _mistakes_named(f"{key}={path}"):
        return _checked(_open(path)[0])


def save_safetensors(network: nn.Module, about: Mapping[str, Any], path: Path, dtype: torch.dtype) -> None:
    """Writes a network's weights, floating-point ones as `dtype`."""
    from safetensors.torch import save

    weights = {
        name: value.to(dtype if value.is_floating_point() else value.dtype, copy=True).contiguous()
        for name, value in network.state_dict().items()
    }
    path.write_bytes(save(weights, {HEADER: _header(about)}))


def save_onnx(network: nn.Module, about: Mapping[str, Any], path: Path) -> None:
    """Writes a network's graph and weights; the batch is dynamic, the inputs are `latents` and, if any, `labels`.

    Raises:
        UserError: the network has operations that ONNX does not.
    """
    inputs = [value for value in example_inputs(about, 2) if value is not None]
    batch = torch.export.Dim("batch")
    for name in ("onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own making
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
            raise UserError(f"format=onnx: {about['model_name']} has no ONNX form ({_first_line(error)})") from error
    for node in program.model.graph:
        node.metadata_props.clear()  # stack traces with the paths of this machine
    program.model.metadata_props[HEADER] = _header(about)
    program.save(path, external_data=False)


def _open(path: Path) -> Opened:
    """The header's text, and a function from (what it says, trusted packages) to the network."""
    if path.suffix not in SUFFIXES:
        raise UserError(f"exported files end in {' or '.join(SUFFIXES)}")
    if not path.is_file():
        raise UserError("there is no such file")
    return _open_safetensors(path) if path.suffix == ".safetensors" else _open_onnx(path)


def _open_safetensors(path: Path) -> Opened:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        header = (file.metadata() or {}).get(HEADER)

    def load(about: Mapping[str, Any], trust: Sequence[str]) -> nn.Module:
        return rebuild(about["hyper_parameters"]["generator"], about, tensors, trust)

    return header, load


def _open_onnx(path: Path) -> Opened:
    check_installed(path.name, "export", "onnxruntime")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # errors are raised as well
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def load(about: Mapping[str, Any], trust: Sequence[str]) -> nn.Module:
        network = OnnxGenerator(session).eval()
        check_draws(network, about)
        return network

    return session.get_modelmeta().custom_metadata_map.get(HEADER), load


def _header(about: Mapping[str, Any]) -> str:
    try:
        return json.dumps({"format_version": FORMAT_VERSION, **about})
    except (TypeError, ValueError) as error:
        raise UserError(f"ckpt: its hyperparameters are not plain values ({error})") from error


def _checked(header: str | None) -> dict[str, Any]:
    about = json.loads(header) if header else None
    if not isinstance(about, dict) or "format_version" not in about:
        raise UserError("not a file that `gan export` wrote")
    if about["format_version"] != FORMAT_VERSION:
        raise UserError(f"its format is version {about['format_version']}, this is mnist-gan for {FORMAT_VERSION}")
    wrong = [name for name, kind in FACTS.items() if not isinstance(about.get(name), kind)]
    if wrong or not isinstance(about.get("hyper_parameters"), dict):
        raise UserError(f"its header is damaged: {', '.join(wrong or ['hyper_parameters'])}")
    return about


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


@contextmanager
def _mistakes_named(named: str) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        raise UserError(f"{named}: {error}") from error
    except Exception as error:  # a stranger's file can make parsers and constructors raise anything
        raise UserError(f"{named}: not a readable export ({_first_line(error)})") from error
