"""The run's checkpoints: the last, the best, and every N epochs, each with its metrics beside it."""

import math
import shutil
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Checkpoint

from gan.atomic_write import atomic_file, write_json
from gan.callbacks.report import finite
from gan.config.bounds import require_number
from gan.errors import UserError
from gan.module import GAN


class RunCheckpoints(Checkpoint):
    """Writes `last.ckpt` after each epoch, and copies of it as `best.ckpt` and `epoch_0005.ckpt`.

    The best checkpoint is the one with the lowest monitored value so far; the newest until there is a monitored value.
    Beside each checkpoint is a JSON file with its metrics. Weights that are not finite are never written. A run that
    resumes in a new folder copies the best checkpoint so far into it.

    Args:
        directory: where the checkpoints are written.
        monitor: name of the monitored value; lower is better.
        every_n_epochs: epochs from one `epoch_*.ckpt` to the next; 0 writes none.
        keep_last: how many `epoch_*.ckpt` are kept.
    """

    def __init__(self, directory: str, monitor: str, every_n_epochs: int = 5, keep_last: int = 3) -> None:
        require_number("callbacks.checkpoints.every_n_epochs", every_n_epochs, least=0, whole=True)
        require_number("callbacks.checkpoints.keep_last", keep_last, least=1, whole=True)
        self.directory, self.monitor = Path(directory), monitor
        self.every_n_epochs, self.keep_last = every_n_epochs, keep_last
        self.best_score: float | None = None
        self._validated = False
        self._older_best: Path | None = None

    def state_dict(self) -> dict[str, Any]:
        return {"directory": str(self.directory), "best_score": self.best_score}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_score = state_dict["best_score"]
        self._older_best = Path(state_dict["directory"]) / "best.ckpt"

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        best = self.directory / "best.ckpt"
        if self._older_best is None or self.best_score is None or best.exists():
            return
        if not self._older_best.exists():
            self.best_score = None
        elif trainer.is_global_zero:
            _copy(self._older_best, best)

    def on_validation_end(self, trainer: Trainer, pl_module: GAN) -> None:
        self._validated = not trainer.sanity_checking and self.monitor in trainer.callback_metrics

    def on_train_epoch_end(self, trainer: Trainer, pl_module: GAN) -> None:
        self._refuse_divergence(trainer, pl_module)
        score = float(trainer.callback_metrics[self.monitor]) if self._validated else None
        self._validated = False  # an epoch without validation still shows the monitored value of an earlier one
        is_best = self.best_score is None
        if score is not None:
            is_best = score < (math.inf if is_best else self.best_score)
            self.best_score = score if is_best else self.best_score

        last = self.directory / "last.ckpt"
        trainer.save_checkpoint(last)
        if trainer.is_global_zero:
            write_json(last.with_suffix(".json"), self._metadata(trainer, pl_module))
            if is_best:
                _copy(last, self.directory / "best.ckpt")
            if self.every_n_epochs and trainer.is_last_batch and (trainer.current_epoch + 1) % self.every_n_epochs == 0:
                _copy(last, self.directory / f"epoch_{trainer.current_epoch + 1:04d}.ckpt")
                for old in sorted(self.directory.glob("epoch_*.ckpt"))[: -self.keep_last]:
                    old.unlink()
                    old.with_suffix(".json").unlink(missing_ok=True)
        trainer.strategy.barrier()

    def _refuse_divergence(self, trainer: Trainer, pl_module: GAN) -> None:
        if not all(torch.isfinite(parameter).all() for parameter in pl_module.parameters()):
            last = self.directory / "last.ckpt"
            kept = f"; {last} is from an earlier epoch" if last.exists() else ""
            raise UserError(f"training diverged: weights are not finite after epoch {trainer.current_epoch + 1}{kept}")

    def _metadata(self, trainer: Trainer, pl_module: GAN) -> dict[str, Any]:
        return {
            "epoch": trainer.current_epoch + 1,
            "images_seen": pl_module.images_seen,
            "monitor": self.monitor,
            "best_score": self.best_score,
            "metrics": finite(trainer.callback_metrics),
        }


def _copy(source: Path, target: Path) -> None:
    """Copies a checkpoint and its JSON file, each atomically."""
    for suffix in (".ckpt", ".json"):
        with source.with_suffix(suffix).open("rb") as content, atomic_file(target.with_suffix(suffix)) as file:
            shutil.copyfileobj(content, file)
