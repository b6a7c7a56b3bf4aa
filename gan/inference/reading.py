"""A generator from a file: nothing is built but what may be, no larger than its weights, making 28x28 images."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gan.checkpoint_files import SHAPE, read_checkpoint
from gan.config.targets import build, locate
from gan.errors import UserError


def read_generator(path: Path, key: str, trust: Sequence[str] = ()) -> tuple[nn.Module, dict[str, Any]]:
    """The averaged generator of a checkpoint, on the CPU, and what is known of it.

    Args:
        path: of a checkpoint; nothing in it is executed.
        key: the config key that named it, for the error's text.
        trust: packages of the user's that its network may come from.

    Raises:
        UserError: as for `read_checkpoint`; a network that may not be built, or that its weights do not fit.
    """
    checkpoint = read_checkpoint(path, key)
    options = checkpoint["hyper_parameters"]
    shape = {name: options[name] for name in SHAPE}
    prefix = "generator_ema."
    try:
        saved = checkpoint["state_dict"].items()
        weights = {name.removeprefix(prefix): value for name, value in saved if name.startswith(prefix)}
        network = rebuild(options["generator"], shape, weights, trust)
    except UserError as error:
        raise UserError(f"{key}={path}: {error}") from error
    except Exception as error:  # a stranger's values can make a constructor raise anything
        reason = " ".join(str(error).split()[:12])
        raise UserError(f"{key}={path}: its weights do not fit its generator ({reason} ...)") from error
    sizes = [(value.numel(), value.requires_grad) for value in network.parameters()]
    facts = {
        "model_name": options["generator"]["_target_"],
        **shape,
        "data": checkpoint.get("data"),
        "epoch": checkpoint["epoch"] + 1,
        "images_seen": checkpoint["images_seen"],
        "total_parameters": sum(size for size, _ in sizes),
        "trainable_parameters": sum(size for size, trained in sizes if trained),
    }
    return network, facts


def rebuild(
    spec: Mapping[str, Any], shape: Mapping[str, Any], weights: Mapping[str, Tensor], trust: Sequence[str] = ()
) -> nn.Module:
    """The generator that a file describes, with its weights in float32, on the CPU and in evaluation mode.

    The project's own networks are built without memory and take the file's weights as theirs: whatever sizes a file
    claims, reading it needs no more than it has itself, and draws no random number. One of a trusted package is built
    for real, since it may have tensors that are not among the weights.

    Args:
        spec: `_target_` and arguments.
        shape: what `SHAPE` names.
        weights: by name.
        trust: packages of one's own that the network may come from.

    Raises:
        UserError: it may not be built, or draws something else than images.
        Exception: of any kind, from a stranger's values.
    """
    key, packages = "model.generator", ["gan.networks"]
    own = locate(spec["_target_"], key, packages, trust).__module__.startswith("gan.networks.")
    with ExitStack() as without_memory:
        if own:
            without_memory.enter_context(torch.device("meta"))
            without_memory.enter_context(_NoNormal())
        network: nn.Module = build(spec, key, packages, trust, **{name: shape[name] for name in SHAPE})
    copies = {  # where tensors lie in a file they are not aligned, and sums come out in another order
        name: value.to(torch.float32 if value.is_floating_point() else value.dtype, copy=True)
        for name, value in weights.items()
    }
    network.load_state_dict(copies, assign=own)
    if own:
        network.to(memory_format=torch.channels_last)
    network.eval()
    check_draws(network, shape)
    return network


def check_draws(network: nn.Module, shape: Mapping[str, Any]) -> None:
    """Raises a UserError unless a network on the CPU draws images [N, image_channels, 28, 28]."""
    with torch.inference_mode():
        drawn = tuple(network(*example_inputs(shape, 2)).shape)
    if drawn != (2, shape["image_channels"], 28, 28):
        raise UserError(f"its generator draws arrays of shape {drawn}, not {shape['image_channels']}x28x28 images")


def example_inputs(shape: Mapping[str, Any], count: int) -> tuple[Tensor, Tensor | None]:
    """What a network can be tried on: latents float [count, latent_dim], labels int64 [count] if it is conditional."""
    z = torch.randn(count, shape["latent_dim"], generator=torch.Generator().manual_seed(count))
    return z, torch.arange(count) % shape["num_classes"] if shape["num_classes"] else None


class _NoNormal(TorchFunctionMode):
    """Leaves out `normal_`: on the meta device it imports torch's compiler, which takes seconds."""

    def __torch_function__(
        self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in (nn.init.normal_, Tensor.normal_):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)
