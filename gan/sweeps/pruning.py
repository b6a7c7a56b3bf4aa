"""Ends a bad trial of a search by a pruner of Optuna's. Jobs read the files of each other, so nothing is locked."""

import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
from lightning import Callback
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial, TrialState, create_trial

from gan.atomic_write import write_json
from gan.callbacks.budget import images_of_run
from gan.module import GAN
from gan.optional_files import OptionalFiles, read_json
from gan.sweeps.job_records import FINISHED, OUTCOME, VALIDATIONS
from gan.sweeps.sweep import STUDY_NAME
from gan.trainer_types import Trainer

TOLERANCE = 0.1  # trials are compared at the same validation, and there at the same number of images but for this part

log = logging.getLogger("gan")


class Pruning(Callback):
    """Reports each validation to a pruner, and ends the run if it says so, but not after its last validation.

    A pruner's steps are the validations, counted from 0; of the monitored value, lower is better. `directory` is the
    job's own: the folders of the other jobs are beside it.
    """

    def __init__(self, directory: str, monitor: str, pruner: BasePruner) -> None:
        self.directory, self.monitor, self.pruner = Path(directory), monitor, pruner
        # `notes` are the pruner's own, such as the rungs that a trial has reached.
        self.state: dict[str, Any] = {"images": [], "values": [], "notes": {}, "pruned": False}
        self._files = OptionalFiles()

    def on_save_checkpoint(self, trainer: Trainer, pl_module: GAN, checkpoint: dict[str, Any]) -> None:
        checkpoint["validations"] = {"directory": str(self.directory), "state": self.state}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: GAN, checkpoint: dict[str, Any]) -> None:
        saved = checkpoint.get("validations", {})
        if saved.get("directory") == str(self.directory):  # else the job starts from the checkpoint of another run
            self.state = saved["state"]

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
        planned = images_of_run(trainer, pl_module)
        self.state["images_planned"] = planned if planned < math.inf else None
        self._write()
        trainer.should_stop = trainer.should_stop or self.state["pruned"]

    def on_validation_end(self, trainer: Trainer, pl_module: GAN) -> None:
        if trainer.sanity_checking or self.monitor not in trainer.callback_metrics:
            return
        value = float(trainer.callback_metrics[self.monitor])
        self.state["images"].append(pl_module.images_seen)
        self.state["values"].append(value if math.isfinite(value) else None)
        is_last = trainer.is_last_batch and 0 <= trainer.max_epochs <= trainer.current_epoch + 1
        if not (trainer.should_stop or is_last) and self._is_bad():
            self.state["pruned"] = trainer.should_stop = True
            where = f"after {pl_module.images_seen:,} images, by {type(self.pruner).__name__}"
            log.info("pruned      %s: %s %.4g", where, self.monitor, value)
        self._write()

    def _is_bad(self) -> bool:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study, number = optuna.create_study(study_name=STUDY_NAME), int(self.directory.name)
        for trial in self._trials(number):
            study.add_trial(trial)
        pruned = self.pruner.prune(study, study.get_trials()[number])
        self.state["notes"] = study.get_trials()[number].system_attrs
        return pruned

    def _trials(self, own: int) -> Iterator[FrozenTrial]:
        """The trials of all jobs up to the one with the highest number; one without values counts as failed."""
        numbers = [int(path.name) for path in self.directory.parent.iterdir() if path.name.isdigit()]
        for number in range(max(numbers) + 1):
            folder = self.directory.parent / str(number)
            job = self.state if number == own else read_json(folder / VALIDATIONS)
            outcome = None if number == own else read_json(folder / OUTCOME).get("status")
            values = dict(enumerate(job.get("values", [])))
            best = min((value for value in values.values() if value is not None), default=None)
            if job and outcome is None:
                state = TrialState.RUNNING
            elif job and outcome == FINISHED and (job["pruned"] or best is not None):
                state = TrialState.PRUNED if job["pruned"] else TrialState.COMPLETE
            else:
                state = TrialState.FAIL
            yield create_trial(
                state=state,
                value=best if state in (TrialState.PRUNED, TrialState.COMPLETE) else None,
                system_attrs=job.get("notes", {}),
                intermediate_values={
                    step: math.nan if value is None else value
                    for step, value in values.items()
                    if self._is_comparable(step, job["images"][step])
                },
            )

    def _is_comparable(self, step: int, images: int) -> bool:
        """Whether another trial's validation was of about as many images as the same one of this trial."""
        own = self.state["images"]
        return step >= len(own) or abs(images - own[step]) <= TOLERANCE * own[step]

    def _write(self) -> None:
        with self._files.writing(self.directory / VALIDATIONS) as path:
            write_json(path, self.state)
