"""Which devices and processes a run uses, and a precision that is fast there."""

import os
import time
from typing import TYPE_CHECKING

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from gan.config.bounds import require
from gan.config.compose import CONFIG_DIR
from gan.config.environment import check_environment, in_slurm, whole_number
from gan.errors import UserError, one_line

if TYPE_CHECKING:  # the commands after training import this file, and not Lightning
    from lightning.fabric.plugins.environments import SLURMEnvironment

ON_CUDA = ("gpu", "cuda")  # Lightning's two names of one accelerator
BF16_WORK = 3e8  # parameters times images per step; from this on bf16 was faster than TF32 on an H200
DDP_CONFIG = CONFIG_DIR / "hardware" / "shared" / "ddp.yaml"


def settle_hardware(trainer: DictConfig) -> None:
    """Settles a Trainer's accelerator and strategy for this machine, and lets a GPU compute in TF32.

    Raises:
        UserError: a device that is not there, a precision that the device lacks or is slow in, or a number of processes
            that differs from those that torchrun or srun has started.
    """
    check_environment("train")
    there = {"auto": True, "cpu": True, "gpu": torch.cuda.is_available(), "cuda": torch.cuda.is_available()}
    there["mps"] = torch.backends.mps.is_available()
    accelerator, precision = trainer.accelerator, str(trainer.precision)
    require("trainer.accelerator", accelerator)
    require("trainer.precision", precision)
    if not there[accelerator]:
        usable = [name for name in there if there[name]]
        raise UserError(f"trainer.accelerator={accelerator}: not on this machine; it has {', '.join(usable)}")
    if accelerator == "auto":
        accelerator = "gpu" if there["gpu"] else "mps" if there["mps"] else "cpu"
    if accelerator == "cpu" and (precision == "16-mixed" or (precision == "bf16-mixed" and not cpu_has_bf16())):
        raise UserError(f"trainer.precision={precision}: this processor has no such arithmetic; use 32-true")
    if accelerator in ON_CUDA:
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
        if trainer.get("deterministic"):
            OmegaConf.update(trainer, "benchmark", False, force_add=True)  # the fastest one differs between runs
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
        if isinstance(trainer.devices, int) and trainer.devices > torch.cuda.device_count():
            raise UserError(f"trainer.devices={trainer.devices}: this machine has {torch.cuda.device_count()} GPUs")
    trainer.accelerator, trainer.precision = accelerator, precision
    _check_processes(trainer)


def processes_started() -> int | None:
    """How many processes torchrun or srun has started for this run; None if the run starts its processes itself.

    Raises:
        UserError: a SLURM job of several tasks was not started with srun, or without tasks per node.
    """
    if torch.distributed.is_torchelastic_launched():
        return int(os.environ["WORLD_SIZE"])
    if not in_slurm():
        return None
    tasks = whole_number("SLURM_NTASKS", 1)
    if tasks > 1 and "SLURM_STEP_ID" not in os.environ:
        raise UserError(f"SLURM_NTASKS={tasks}: in a job of several tasks srun starts them: srun gan train ...")
    if tasks > 1 and "SLURM_NTASKS_PER_NODE" not in os.environ:
        raise UserError(f"SLURM_NTASKS={tasks}: say to sbatch or srun how many on each node, --ntasks-per-node=N")
    return tasks


def slurm_plugins() -> list["SLURMEnvironment"]:
    """The Trainer's plugins under srun. submitit or SLURM itself requeues a preempted job, so Lightning must not."""
    from lightning.fabric.plugins.environments import SLURMEnvironment

    by_srun = in_slurm() and not torch.distributed.is_torchelastic_launched()
    return [SLURMEnvironment(auto_requeue=False)] if by_srun else []


def _check_processes(trainer: DictConfig) -> None:
    started, devices, nodes = processes_started(), trainer.devices, trainer.get("num_nodes", 1)
    if str(devices) in ("-1", "auto"):
        devices = torch.cuda.device_count() if trainer.accelerator in ON_CUDA else 1
    wanted = nodes * (devices if isinstance(devices, int) else len(devices))
    if started not in (None, wanted):
        raise UserError(
            f"trainer.devices={trainer.devices}, trainer.num_nodes={nodes}: the number of processes is {wanted}, "
            f"but srun or torchrun has started {started}"
        )
    if started is None and nodes > 1 and "NODE_RANK" not in os.environ:
        raise UserError(f"trainer.num_nodes={nodes}: srun or torchrun starts the processes of several machines")
    strategy = trainer.get("strategy", "auto")
    if strategy == "ddp" or (strategy in (None, "auto") and wanted > 1):
        OmegaConf.update(trainer, "strategy", OmegaConf.load(DDP_CONFIG).strategy, force_add=True)


def settle_precision(trainer: DictConfig, module: nn.Module, batch_size: int) -> None:
    """Replaces `auto` by the precision that was fastest for steps of that size, see docs/gpu.md for figures.

    Small steps take longer to launch in bf16 than they gain. Matrix products of fp32 run in TF32 on a GPU that has it.
    """
    if trainer.precision == "auto":
        work = batch_size * sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
        on_cuda = trainer.accelerator in ON_CUDA
        bf16 = on_cuda and work >= BF16_WORK and torch.cuda.get_device_capability() >= (8, 0)
        trainer.precision = "bf16-mixed" if bf16 else "32-true"


def cpu_has_bf16() -> bool:
    """Whether the processor multiplies bf16 in hardware (AVX512-BF16 or AMX)."""
    has = torch.cpu.get_capabilities()
    return has.get("avx512_bf16", False) or has.get("amx_tile", False)


def check_compiler(accelerator: str) -> None:
    """Raises a UserError unless `torch.compile` works there, which takes a compiler and a fitting Python."""
    device = "cuda" if accelerator in ON_CUDA else accelerator
    number = time.time_ns() % 10**9 / 10**9  # a function that no earlier run has left compiled
    try:
        torch.compile(lambda x: x * number + 1)(torch.zeros(8, device=device))
    except Exception as error:  # of many kinds, of the compiler's own packages
        what = "torch.compile does not work here, it needs a C++ compiler (g++, or what CXX names)"
        raise UserError(f"compile=true: {what}; compile=false trains without ({one_line(error, 200)})") from error


def precision_name(precision: str, device: torch.device) -> str:
    """Such as "bf16-mixed", or "32-true, matrix products in TF32" on a GPU that has these."""
    tf32 = device.type == "cuda" and precision == "32-true" and torch.get_float32_matmul_precision() != "highest"
    return f"{precision}, matrix products in TF32" if tf32 else precision


def device_name(device: torch.device) -> str:
    """Such as "cuda:0 (NVIDIA H100)" or "cpu (2 threads)"."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    threads = torch.get_num_threads()
    return f"cpu ({threads} thread{'s' * (threads > 1)})" if device.type == "cpu" else str(device)
