"""What may be handed to a generator, checked before it fails inside a layer."""

import torch
from torch import Tensor

from gan.errors import UserError


def check_inputs(z: Tensor, labels: Tensor | None, latent_dim: int, num_classes: int | None, call: str) -> None:
    """Raises a UserError unless these latents and labels fit the model.

    Args:
        z: float32 [N, latent_dim].
        labels: integers [N], or float [N, num_classes] where the network takes shares; None if it is unconditional.
        call: the method that was called, for the right call in the error.
    """
    right = f"{call}(torch.randn(16, {latent_dim}), labels=torch.arange(16) % {num_classes})"
    if not isinstance(z, Tensor) or z.dtype != torch.float32 or z.dim() != 2 or z.shape[1] != latent_dim:
        raise UserError(f"z={_kind(z)}: latents are a float32 tensor [N, {latent_dim}]")
    if z.device.type == "cpu" and not bool(z.isfinite().all()):  # a GPU would have to be waited for
        raise UserError(f"z={_kind(z)}: latents are finite numbers, and some of these are not")
    if num_classes is None:
        if labels is not None:
            raise UserError(f"labels={_kind(labels)}: this model is unconditional and takes none")
        return
    if labels is None:
        raise UserError(f"labels=None: this model is conditional and needs a class for each image: {right}")
    if not isinstance(labels, Tensor) or labels.dtype not in (torch.int64, torch.int32) or labels.shape != z.shape[:1]:
        raise UserError(f"labels={_kind(labels)}: an int64 tensor [{len(z)}], one class for each latent: {right}")
    if len(labels) and not (int(labels.min()) >= 0 and int(labels.max()) < num_classes):
        raise UserError(f"labels={int(labels.min())}..{int(labels.max())}: classes are 0 to {num_classes - 1}")


def _kind(value: object) -> str:
    return f"{str(value.dtype)[6:]} {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
