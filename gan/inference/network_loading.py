"""Loads a generator's network from a checkpoint. Only permitted classes are built, and the output must be images."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gan.checkpoint_files import SHAPE, read_checkpoint
from gan.config.targets import build, locate
from gan.errors import UserError, joined, one_line
from gan.randomness import latents


def load_generator(path: Path, key: str, trust: Sequence[str] = ()) -> tuple[nn.Module, dict[str, Any]]:
    """The averaged generator of a checkpoint, on the CPU, and the facts about it; a UserError where that cannot be."""
    checkpoint = read_checkpoint(path, key)
    options = checkpoint["hyper_parameters"]
    prefix = "generator_ema."
    with prefixed_errors(f"{key}={path}", "its weights do not fit its generator"):
        saved = checkpoint["state_dict"].items()
        weights = {name.removeprefix(prefix): value for name, value in saved if name.startswith(prefix)}
        network = build_network(options["generator"], options, weights, trust)
        if not isinstance(data := checkpoint.get("data"), str | None):
            raise UserError(f"its data={data}: the name of a data set, or None")
    epoch, images_seen = checkpoint["epoch"] + 1, checkpoint["images_seen"]
    return network, describe(network, options, data, epoch, images_seen)


@contextmanager
def prefixed_errors(prefix: str, otherwise: str) -> Iterator[None]:
    """Makes any error a UserError of one line: a foreign file can make parsers and constructors raise each kind."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{prefix}: {joined(error)}") from error
    except Exception as error:
        raise UserError(f"{prefix}: {otherwise} ({one_line(error)})") from error


def describe(
    network: nn.Module, options: Mapping[str, Any], data: str | None, epoch: int, images_seen: int
) -> dict[str, Any]:
    """The facts about a generator, of which `options` are its training's hyperparameters."""
    parameters = list(network.parameters())
    return {
        "model_name": options["generator"]["_target_"],
        **{name: options[name] for name in SHAPE},
        "data": data,
        "epoch": epoch,
        "images_seen": images_seen,
        "total_parameters": sum(value.numel() for value in parameters),
        "trainable_parameters": sum(value.numel() for value in parameters if value.requires_grad),
        "hyper_parameters": dict(options),
    }


def weights_checksum(network: nn.Module) -> str:
    """The start of a SHA-256 in hex of a network's state, by which versions of a generator are told apart."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode())
        if isinstance(value, Tensor):
            digest.update(value.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        else:
            digest.update(repr(value).encode())
    return digest.hexdigest()[:12]


def build_network(
    spec: Mapping[str, Any], shape: Mapping[str, Any], weights: Mapping[str, Any], trust: Sequence[str] = ()
) -> nn.Module:
    """The generator that a foreign file describes, with float32 weights, on the CPU and in evaluation mode.

    The project's own networks are built on the meta device and then take over the file's weights. So reading a file
    needs no more memory than its weights, whatever sizes it claims, and draws no random numbers. A network of a trusted
    package is built on the CPU, because it may have tensors that are not saved.
    """
    key, packages = "model.generator", ["gan.networks"]
    own = locate(spec["_target_"], key, packages, trust).__module__.startswith("gan.networks.")
    with ExitStack() as without_memory:
        if own:
            without_memory.enter_context(torch.device("meta"))
            without_memory.enter_context(_SkipNormal())
        network: nn.Module = build(spec, key, packages, trust, **{name: shape[name] for name in SHAPE})
    # Tensors of a file may be unaligned, and then additions run in another order. Copies are aligned.
    copies = {
        name: value.to(torch.float32 if value.is_floating_point() else value.dtype, copy=True)
        if isinstance(value, Tensor)
        else value
        for name, value in weights.items()
    }
    network.load_state_dict(copies, assign=own)
    if own:
        network.to(memory_format=torch.channels_last)
    network.eval()
    check_output(network, shape)
    return network


def check_output(network: nn.Module, shape: Mapping[str, Any]) -> None:
    """Raises a UserError unless the output of a network on the CPU is [N, image_channels, 28, 28], and finite."""
    with torch.inference_mode():
        images = network(*example_inputs(shape, 2))
    found = tuple(images.shape)
    if found != (2, shape["image_channels"], 28, 28):
        raise UserError(f"the output of its generator has shape {found}, not {shape['image_channels']}x28x28 images")
    if not bool(images.isfinite().all()):
        raise UserError("the output of its generator is not finite; its weights are damaged, or of a diverged training")


def example_inputs(shape: Mapping[str, Any], count: int) -> tuple[Tensor, Tensor | None]:
    """Inputs to try a network with: latents float [count, latent_dim], labels int64 [count] if it is conditional."""
    z = latents(count, 0, count, shape["latent_dim"])
    return z, torch.arange(count, device="cpu") % shape["num_classes"] if shape["num_classes"] else None


class _SkipNormal(TorchFunctionMode):
    """Skips `normal_`, which on the meta device imports torch's compiler, and that takes seconds."""

    def __torch_function__(
        self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in (nn.init.normal_, Tensor.normal_):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)
