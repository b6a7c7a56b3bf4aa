"""What a run reports: at its start its device, data and sizes, at its end its results."""

import json
import logging
import math
import sys
import time
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning import Callback, Trainer
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.model_summary import ModelSummary
from safetensors.torch import save
from torch import nn

from gan.atomic_write import write_atomic, write_json
from gan.hardware import device_name
from gan.module import GAN

log = logging.getLogger("gan")


class RunReport(Callback):
    """Logs device, precision, data and sizes before training, and writes the files that describe the run.

    These are `networks.txt`, then at the end `generator.safetensors` (the averaged generator),
    `discriminator.safetensors` and `summary.json`. The minutes of a resumed run include those before it was resumed.
    """

    _minutes_before = 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"minutes": self._minutes()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._minutes_before = state_dict["minutes"]

    def setup(self, trainer: Trainer, pl_module: GAN, stage: str) -> None:
        self._started = time.perf_counter()

    @rank_zero_only
    def on_fit_start(self, trainer: Trainer, pl_module: GAN) -> None:
        folder, data = Path(trainer.default_root_dir), trainer.datamodule
        limits = {"images": pl_module.hparams.max_images, "epochs": max(0, trainer.max_epochs)}
        length = " or ".join(f"{limit:,} {unit}" for unit, limit in limits.items() if limit) or "until stopped"
        for name, value in {
            "device": f"{device_name(trainer.strategy.root_device)}, processes: {trainer.world_size}",
            "precision": trainer.precision,
            "data": f"{data.source.name}, {len(data.train_images):,} images, batches of {data.batch_size}, {length}",
            "parameters": f"generator {_size(pl_module.generator):,}, discriminator {_size(pl_module.discriminator):,}",
            "output": folder,
        }.items():
            log.info("%-10s  %s", name, value)
        (folder / "networks.txt").write_text(
            f"{ModelSummary(pl_module, max_depth=-1)}\n\n{pl_module}\n", encoding="utf-8"
        )

    @rank_zero_only
    def on_fit_end(self, trainer: Trainer, pl_module: GAN) -> None:
        folder, minutes = Path(trainer.default_root_dir), self._minutes()
        metadata = {"hyper_parameters": json.dumps(dict(pl_module.hparams))}
        for name, network in {"generator": pl_module.generator_ema, "discriminator": pl_module.discriminator}.items():
            weights = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
            write_atomic(folder / f"{name}.safetensors", save(weights, metadata))
        summary = {
            "command": " ".join(sys.argv),
            "data": trainer.datamodule.source.name,
            "epochs": trainer.current_epoch,
            "images_seen": pl_module.images_seen,
            "minutes": round(minutes, 2),
            "device": device_name(trainer.strategy.root_device),
            "precision": str(trainer.precision),
            "parameters": {"generator": _size(pl_module.generator), "discriminator": _size(pl_module.discriminator)},
            "torch": torch.__version__,
            "lightning": lightning.__version__,
            "metrics": finite(trainer.callback_metrics),
        }
        write_json(folder / "summary.json", summary)
        if any(isinstance(callback, Timer) and callback.time_remaining() <= 0 for callback in trainer.callbacks):
            log.info("%-10s  trainer.max_time is used up; a longer one, or null, resumes the run", "ended")
        log.info("%-10s  %.1f minutes, %s images; see %s", "done", minutes, f"{pl_module.images_seen:,}", folder)

    @rank_zero_only
    def on_exception(self, trainer: Trainer, pl_module: GAN, exception: BaseException) -> None:
        if isinstance(exception, KeyboardInterrupt):
            last = Path(trainer.default_root_dir, "checkpoints", "last.ckpt")
            hint = f"ckpt_path={last} resumes the run" if last.exists() else "there is no checkpoint yet"
            log.info("%-10s  after %s images; %s", "interrupted", f"{pl_module.images_seen:,}", hint)

    def _minutes(self) -> float:
        return self._minutes_before + (time.perf_counter() - self._started) / 60


def finite(metrics: dict[str, Any]) -> dict[str, float | None]:
    """Metrics for a JSON file: a value that is not finite becomes null."""
    numbers = {name: float(value) for name, value in metrics.items()}
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}


def _size(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
