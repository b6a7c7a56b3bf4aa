"""The run's checkpoints: the last, the best, and every N epochs, each with its metrics beside it."""

import logging
import shutil
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Checkpoint

from gan.atomic_write import atomic_file, hindrance_to_writing, write_json
from gan.callbacks.validation import ValidationMeasures
from gan.checkpoint_files import read_checkpoint
from gan.config import in_multirun
from gan.config.bounds import require
from gan.errors import DivergedError, Stopped, UserError
from gan.module import GAN
from gan.optional_files import read_json
from gan.runs.newest import resume_command
from gan.runs.records import finite
from gan.stop_signals import StopSignals
from gan.trainer_types import Trainer, current_metrics, validated_on

log = logging.getLogger("gan")


class RunCheckpoints(Checkpoint):
    """Writes `last.ckpt`, and copies of it as `best.ckpt` and `epoch_0005.ckpt`.

    It is written after each epoch, after a validation inside an epoch, every few minutes between them, and when a
    signal tells the run to stop; then the run ends. On several processes all do so at the same batch. Each file holds
    the exact position in its epoch.

    The best checkpoint is the one with the lowest monitored value so far; the newest until there is a monitored value.
    Beside each checkpoint is a JSON file with the metrics of its weights. Weights that are not finite are never
    written. A run that resumes in a new folder copies the best checkpoint so far into it, but not in a sweep, where a
    job's score is its own. One that goes back in its folder keeps the best one there until it has a better one. Values
    of other data, or of another number of validation images, are not compared.
    """

    def __init__(
        self,
        directory: str,
        monitor: str,
        every_n_epochs: int = 5,
        every_n_minutes: float | None = 10,
        keep_last: int = 3,
    ) -> None:
        if not isinstance(monitor, str):
            raise UserError(f"callbacks.checkpoints.monitor={monitor}: the name of a measure, such as val/fid_mnist")
        require("callbacks.checkpoints.every_n_epochs", every_n_epochs)
        require("callbacks.checkpoints.every_n_minutes", every_n_minutes)
        require("callbacks.checkpoints.keep_last", keep_last)
        self.directory, self.last, self.monitor = Path(directory), Path(directory, "last.ckpt"), monitor
        self.every_n_epochs, self.every_n_minutes, self.keep_last = every_n_epochs, every_n_minutes, keep_last
        self.best_score: float | None = None
        self._signals = StopSignals()
        self._measured_at: int | None = None  # images seen by the weights of the last validation
        self._saved: dict[str, Any] = {}
        self._told = False  # that the monitored value is not measured
        self._older_best: Path | None = None
        self._validation: dict[str, Any] = {}  # see `validated_on`
        self._comparable = True  # whether it is the same as before the run was resumed

    def state_dict(self) -> dict[str, Any]:
        kept = {"directory": str(self.directory), "best_score": self.best_score, "saved": self._saved}
        return {**kept, "validation": self._validation}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._saved = state_dict.get("saved", {})
        same = self._saved.get("monitor", self.monitor) == self.monitor
        self.best_score = state_dict["best_score"] if same else None
        self._older_best = Path(state_dict["directory"]) / "best.ckpt"

    def on_load_checkpoint(self, trainer: Trainer, pl_module: GAN, checkpoint: dict[str, Any]) -> None:
        own = checkpoint["callbacks"].get(self.state_key, {})
        then = own.get("validation") or {"data": checkpoint.get("data")}  # older checkpoints have no more
        now = self._validation = validated_on(trainer) or then
        changed = [key for key, value in now.items() if then.get(key) not in (None, value)]
        for key in changed if trainer.is_global_zero and own.get("best_score") is not None else []:
            text = "changed     %s=%s, was %s; measures of validation are not compared with those before"
            log.info(text, key, now[key], then[key])
        self._comparable = not changed
        if changed:
            for callback in trainer.early_stopping_callbacks:  # their best value is one of before
                checkpoint["callbacks"].pop(callback.state_key, None)

    def setup(self, trainer: Trainer, pl_module: GAN, stage: str) -> None:
        self._validation = validated_on(trainer)
        if trainer.is_global_zero:
            self.directory.mkdir(parents=True, exist_ok=True)
            if reason := hindrance_to_writing(self.directory):
                raise UserError(f"hydra.run.dir: {self.directory}: {reason}; no checkpoint could be written")
            _require_space(self.directory, pl_module)

    def on_fit_start(self, trainer: Trainer, pl_module: GAN) -> None:
        key = f"callbacks.checkpoints.monitor={self.monitor}"
        for measures in trainer.callbacks:
            if isinstance(measures, ValidationMeasures) and measures.directions.get(self.monitor) == "higher":
                raise UserError(f"{key}: the lowest is kept, and higher is better")

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
        self._signals.install()
        self._written = time.monotonic()
        self._group: torch.distributed.ProcessGroup | None = None
        if trainer.world_size > 1 and torch.distributed.get_backend() != "gloo":
            group = torch.distributed.new_group(backend="gloo")  # the processes agree without the GPUs
            assert isinstance(group, torch.distributed.ProcessGroup)  # each process is in it
            self._group = group
        if self._older_best is None or trainer.ckpt_path is None or not trainer.is_global_zero:
            return
        resumed, best = Path(trainer.ckpt_path), self.directory / "best.ckpt"
        if resumed == self.last:
            self._finish_writing(trainer)
        elsewhere = resumed.parent != self.directory
        if not self._comparable or (elsewhere and in_multirun()):
            self.best_score = None
        elif elsewhere and not best.exists() and self._older_best.exists():
            described = self._older_best.with_suffix(".json")
            if read_json(described).get("images_seen", 0) <= pl_module.images_seen:  # not one of a later time
                _copy(self._older_best, best)
                _copy(described, best.with_suffix(".json"))
        if not best.exists():
            self.best_score = None
        elif self._comparable and (kept := read_json(best.with_suffix(".json"))).get("monitor") == self.monitor:
            self.best_score = kept.get("best_score")  # it may be newer than a checkpoint that the run goes back to

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: Any, batch_idx: int) -> None:
        loop = trainer.fit_loop
        assert loop._data_fetcher is not None  # while it trains
        if trainer.is_last_batch or loop.epoch_loop._should_check_val_fx(loop._data_fetcher):
            return  # what follows writes one as well, with the measures
        due, number = self._agreed(trainer)
        if due or number:
            self._save(trainer, pl_module)
        if number:
            self._stop(trainer, pl_module, number)

    def on_validation_end(self, trainer: Trainer, pl_module: GAN) -> None:
        if trainer.sanity_checking:
            return
        self._measured_at = pl_module.images_seen
        measured = any(name.startswith("val/") for name in trainer.callback_metrics)
        if measured and self.monitor not in trainer.callback_metrics and not self._told and trainer.is_global_zero:
            best = "is the newest" if self.best_score is None else "stays the one before"
            log.warning("callbacks.checkpoints.monitor=%s is not measured: best.ckpt %s", self.monitor, best)
            self._told = True
        if not (trainer.is_last_batch or trainer.should_stop):
            self._save(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: GAN) -> None:
        self._save(trainer, pl_module, ends_epoch=trainer.is_last_batch)
        _, number = self._agreed(trainer)
        if number and not trainer.fit_loop.done:
            self._stop(trainer, pl_module, number)

    def on_exception(self, trainer: Trainer, pl_module: GAN, exception: BaseException) -> None:
        if trainer.is_global_zero and isinstance(exception, DivergedError):
            log.info("diverged    %s", self._kept())
        elif trainer.is_global_zero and isinstance(exception, KeyboardInterrupt):
            command = f"; resume with: {resume_command(self.directory.parent)}" if self.last.is_file() else ""
            log.info("interrupted  after %s images; %s%s", f"{pl_module.images_seen:,}", self._kept(), command)

    def stop_if_told(self) -> None:
        """Ends the process after a signal that came while the training ended."""
        if self._signals.received:
            self._signals.stop(self._signals.received)

    def _agreed(self, trainer: Trainer) -> tuple[bool, int]:
        """Whether a checkpoint is due by time, and the signal that came, if any: the same on all processes."""
        late = self.every_n_minutes is not None and time.monotonic() - self._written >= 60 * self.every_n_minutes
        if trainer.world_size == 1:
            return late, self._signals.received
        told = torch.tensor([late, self._signals.received])
        torch.distributed.all_reduce(told, torch.distributed.ReduceOp.MAX, self._group)
        return bool(told[0]), int(told[1])

    def _stop(self, trainer: Trainer, pl_module: GAN, number: int) -> None:
        if not trainer.is_global_zero:
            raise Stopped(0)  # Lightning kills the first process if another one ends with a status of its own
        seen, command = f"{pl_module.images_seen:,}", resume_command(self.directory.parent)
        log.info("stopped     after %s images, all of them in %s; resume with: %s", seen, self.last, command)
        self._signals.stop(number)

    def _save(self, trainer: Trainer, pl_module: GAN, ends_epoch: bool = False) -> None:
        measured, metrics = self._measured_at == pl_module.images_seen, finite(current_metrics(trainer))
        score = metrics.get(self.monitor) if measured else None
        is_best = self.best_score is None or (score is not None and score < self.best_score)
        self.best_score = score if is_best else self.best_score
        epoch = trainer.current_epoch + 1
        of_epoch = ends_epoch and self.every_n_epochs and epoch % self.every_n_epochs == 0
        self._saved = {
            "epoch": epoch,
            "images_seen": pl_module.images_seen,
            "monitor": self.monitor,
            "best_score": self.best_score,
            "metrics": {name: metrics[name] for name in metrics if measured or not name.startswith("val/")},
            "copies": [*(["best"] if is_best else []), *([f"epoch_{epoch:04d}"] if of_epoch else [])],
        }
        for logger in trainer.loggers:
            logger.save()
        try:
            trainer.save_checkpoint(self.last)
            self._finish_writing(trainer)
        except OSError as error:
            reason = f"{error.filename}: {error.strerror}"
            raise UserError(f"{reason}; a checkpoint cannot be written; {self._kept()}") from error
        trainer.strategy.barrier()
        self._written = time.monotonic()

    def _finish_writing(self, trainer: Trainer) -> None:
        """Writes what belongs to `last.ckpt`, its JSON file after all else; a kill may have come before that."""
        described = self.last.with_suffix(".json")
        content = {key: value for key, value in self._saved.items() if key != "copies"}
        if not content or not trainer.is_global_zero or read_json(described) == content:
            return
        for name in self._saved["copies"]:
            _copy(self.last, self.directory / f"{name}.ckpt")
            write_json(self.directory / f"{name}.json", content)
        of_epochs = [
            path.with_suffix(".ckpt") for path in self.directory.glob("epoch_*.json") if path.stem[6:].isdigit()
        ]
        for old in sorted(of_epochs, key=lambda path: int(path.stem[6:]))[: -self.keep_last]:
            old.unlink(missing_ok=True)
            old.with_suffix(".json").unlink()
        write_json(described, content)

    def _kept(self) -> str:
        try:
            seen = read_checkpoint(self.last, "ckpt_path")["images_seen"]  # its JSON file may be of the one before
        except (OSError, UserError):
            return "there is no checkpoint yet"
        return f"{self.last} is whole, of {seen:,} images"


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as content, atomic_file(target) as file:
        shutil.copyfileobj(content, file)


def _require_space(folder: Path, module: GAN) -> None:
    """Raises a UserError where a new checkpoint would not find room; optimizers keep two values of each weight."""
    weights = sum(value.nbytes for value in module.state_dict().values() if isinstance(value, torch.Tensor))
    trained = sum(value.nbytes for value in module.parameters() if value.requires_grad)
    files = 1 if (folder / "best.ckpt").exists() else 2
    needed, free = files * (weights + 2 * trained), shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(f"hydra.run.dir: {folder} has {free:,} bytes free, and the checkpoints need {needed:,}")
