"""A run in Weights & Biases: `gan train 'logger=[csv,wandb]'`, on the disk only unless `wandb.mode=online`."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from gan.config import in_multirun
from gan.config.bounds import TRAIN, require
from gan.config.targets import source_target
from gan.errors import UserError, check_installed
from gan.loggers.image_axis import ImageAxis

if TYPE_CHECKING:
    from wandb import Run

SETTINGS = ("mode", "project", "id", "name", "group", "job_type", "tags")


class WandbRun(ImageAxis, WandbLogger):
    """One run, with the first config it gets. Its steps are the images seen.

    A resumed run continues under its id. Online, the server keeps what a killed run logged after its checkpoint, and
    those steps are not sent again. Offline, each start writes a file of its own, and those steps are in two files.

    `conf/logger/wandb.yaml` explains the arguments. An unknown mode or a missing package is a UserError, and so is, at
    the start of the run, the reason why W&B cannot start it.
    """

    _experiment: "Run | None"

    def __init__(
        self,
        save_dir: str | Path,
        mode: str = "offline",
        project: str = "mnist-gan",
        entity: str | None = None,
        group: str | None = None,
        job_type: str | None = None,
        name: str | None = None,
        tags: Sequence[str] = (),
        notes: str | None = None,
        id: str | None = None,
    ) -> None:
        check_installed("logger=wandb", "tracking", "wandb")
        require("wandb.mode", mode)
        TRAIN["wandb.mode"].require("environment variable WANDB_MODE", os.environ.get("WANDB_MODE") or mode)
        if isinstance(tags, str) or not isinstance(tags, Sequence):
            raise UserError(f"wandb.tags={tags}: a list, such as [first,second]")
        if mode != "online":  # W&B would connect to report its own errors
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        texts = {"entity": entity, "group": group, "job_type": job_type, "notes": notes, "name": name, "id": id}
        page: dict[str, Any] = {key: None if value is None else str(value) for key, value in texts.items()}
        super().__init__(save_dir=save_dir, project=str(project), mode=mode, tags=[str(tag) for tag in tags], **page)
        self._folder = Path(save_dir, "wandb")
        self._wandb_init.pop("anonymous", None)  # a setting of Lightning's that W&B warns about

    @property
    @rank_zero_experiment
    def experiment(self) -> "Run":
        if self._experiment is None:
            import wandb

            try:
                self._experiment = wandb.init(**self._wandb_init)
            except (wandb.Error, ValueError) as error:  # W&B raises a ValueError for a setting that it rejects
                given = ", ".join(f"{key}={self._wandb_init.get(key)}" for key in SETTINGS)
                raise UserError(f"W&B cannot start a run with wandb.{given}: {error}") from error
            self._experiment.define_metric("images_seen", hidden=True)
            self._experiment.define_metric("*", step_metric="images_seen")
        return self._experiment

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Keeps the first config, the run's. Lightning passes the model's part of it once more."""
        if "config" not in self._wandb_init:
            defaults = described(params)
            of_environment = filter(None, os.environ.get("WANDB_TAGS", "").split(","))
            tags = [*defaults["tags"], *of_environment, *self._wandb_init["tags"]]
            given = {key: value for key, value in self._wandb_init.items() if value is not None}
            self._wandb_init = {**defaults, **given, "tags": tags, "config": params}

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        seen = self.images_at(metrics, step)
        with self.sending():
            if seen >= self.experiment.starting_step:
                self.experiment.log({**metrics, "images_seen": seen}, step=seen)

    def sending(self) -> AbstractContextManager[Path]:
        """For what goes to W&B's own process: if that has died, the run continues with a warning."""
        return self.files.writing(self._folder)


def described(config: Mapping[str, Any]) -> dict[str, Any]:
    """The name, group, job type and tags that W&B shows for a run with this resolved config of `gan train`."""
    hydra = HydraConfig.get() if HydraConfig.initialized() else None
    chosen = hydra.runtime.choices if hydra else {}
    model, data = config["model"], config["data"]
    loss = _last(model["loss"]["_target_"])
    sweep = Path(hydra.sweep.dir).name if hydra and in_multirun() else os.environ.get("WANDB_SWEEP_ID")
    return {
        "name": f"{chosen.get('model') or _last(model['_target_'])}-{loss}-{config['seed']}",
        "group": sweep or chosen.get("experiment"),
        "job_type": "sweep" if sweep else "train",
        "tags": [chosen.get("data") or _last(source_target(data)), loss, *_commit_hash()],
    }


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _commit_hash() -> list[str]:
    """The short hash of this code's commit; empty without git, or where the package is installed elsewhere."""
    folder = Path(__file__).parents[2] / ".git"  # git looks for no repository around it
    command = ["git", f"--git-dir={folder}", "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, encoding="utf-8").stdout.split()
    except OSError:
        return []
