"""Which device a run uses, and a precision that device is fast in."""

import torch
from omegaconf import DictConfig

from gan.errors import UserError

ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")
PRECISIONS = ("auto", "32-true", "16-mixed", "bf16-mixed")


def settle_hardware(trainer: DictConfig) -> None:
    """Replaces `auto` for accelerator and precision by what this machine has.

    Raises:
        UserError: a device that is not there, or a precision it is slow in or does not have.
    """
    there = {"cpu": True, "gpu": torch.cuda.is_available(), "cuda": torch.cuda.is_available()}
    there |= {"mps": torch.backends.mps.is_available(), "auto": True}
    accelerator, precision = trainer.accelerator, str(trainer.precision)
    if not there.get(accelerator, False):
        usable = [name for name in ACCELERATORS if there[name]]
        raise UserError(f"trainer.accelerator={accelerator}: not on this machine; it has {', '.join(usable)}")
    if accelerator == "auto":
        accelerator = "gpu" if there["gpu"] else "mps" if there["mps"] else "cpu"
    if precision not in PRECISIONS:
        raise UserError(f"trainer.precision={precision}: it may be {', '.join(PRECISIONS)}")
    if precision == "auto":
        precision = fast_precision(accelerator)
    if accelerator == "cpu" and (precision == "16-mixed" or (precision == "bf16-mixed" and not cpu_has_bf16())):
        raise UserError(f"trainer.precision={precision}: this processor has no such arithmetic; use 32-true")
    if accelerator in ("gpu", "cuda"):
        torch.set_float32_matmul_precision("high")
        if isinstance(trainer.devices, int) and trainer.devices > torch.cuda.device_count():
            raise UserError(f"trainer.devices={trainer.devices}: this machine has {torch.cuda.device_count()} GPUs")
    trainer.accelerator, trainer.precision = accelerator, precision


def fast_precision(accelerator: str) -> str:
    """bf16 on GPUs that have it in hardware (compute capability 8.0 and up), fp16 on 7.x, else fp32."""
    if accelerator not in ("gpu", "cuda"):
        return "32-true"
    major, _ = torch.cuda.get_device_capability()
    return "bf16-mixed" if major >= 8 else "16-mixed" if major == 7 else "32-true"


def cpu_has_bf16() -> bool:
    """Whether the processor multiplies bf16 in hardware (AVX512-BF16 or AMX)."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def device_name(device: torch.device) -> str:
    """Such as "cuda:0 (NVIDIA H100)" or "cpu (2 threads)"."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({torch.get_num_threads()} threads)" if device.type == "cpu" else str(device)
