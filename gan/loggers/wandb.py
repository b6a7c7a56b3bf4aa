"""A run in Weights & Biases: `gan train 'logger=[csv,wandb]'`, on the disk only unless `wandb.mode=online`."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor, nn

from gan.config import in_multirun
from gan.errors import UserError, check_installed

if TYPE_CHECKING:
    from wandb import Run

MODES = ("online", "offline", "disabled")
SETTINGS = ("mode", "project", "id", "name", "group", "job_type", "tags")
BETTER = {"fid": "min", "kid": "min", "is": "max"}
SUMMARIES = {f"val/{key}_{space}": best for key, best in BETTER.items() for space in ("mnist", "inception")}
SUMMARIES["val/digit_accuracy"] = "max"


class WandbRun(WandbLogger):
    """One run, with the first config it is handed, whose steps are images seen.

    A resumed run goes on under its id. Online, what a killed run logged after its checkpoint stays, and steps that the
    server has are not sent again; offline, each start has a file of its own, and such steps are in two of them.

    Args:
        save_dir: `wandb/` is made in it.
        mode: online, offline (on the disk, until `wandb sync`) or disabled (nothing is kept).
        project: of W&B.
        entity: user or team; None: the account's own.
        group: None: the name of the sweep or of the experiment.
        job_type: None: train, or sweep.
        name: None: model-loss-seed.
        tags: beside the data set, the loss and git's short sum.
        notes: a text for the run's page.
        id: of the run to continue; None starts a new one.

    Raises:
        UserError: another mode, no package wandb; at the run's start, what keeps W&B from starting it.
    """

    def __init__(
        self,
        save_dir: str | os.PathLike[str],
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
        if mode not in MODES:
            raise UserError(f"wandb.mode={mode}: it may be {', '.join(MODES)}")
        if isinstance(tags, str):
            raise UserError(f"wandb.tags={tags}: a list, such as [{tags}]")
        if mode != "online":  # W&B's reports of its own errors are a connection as well
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        texts = {"entity": entity, "group": group, "job_type": job_type, "notes": notes, "name": name, "id": id}
        page = {key: None if value is None else str(value) for key, value in texts.items()}
        super().__init__(save_dir=save_dir, project=str(project), mode=mode, tags=[str(tag) for tag in tags], **page)
        self._wandb_init.pop("anonymous", None)  # Lightning hands it over, and W&B warns of it
        self._model: nn.Module | None = None

    @property
    @rank_zero_experiment
    def experiment(self) -> "Run":
        if self._experiment is None:
            import wandb

            try:
                self._experiment = wandb.init(**self._wandb_init)
            except (wandb.Error, ValueError) as error:  # what W&B's own check of a setting raises is a ValueError
                given = ", ".join(f"{key}={self._wandb_init.get(key)}" for key in SETTINGS)
                raise UserError(f"W&B starts no run with wandb.{given}: {error}") from error
            self._experiment.define_metric("images_seen", hidden=True)
            self._experiment.define_metric("*", step_metric="images_seen")
            for metric, best in SUMMARIES.items():
                self._experiment.define_metric(metric, step_metric="images_seen", summary=best)
        return self._experiment

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any]) -> None:
        """The run's config and what follows from it; the module's own parameters, which come later, are in it."""
        if "config" not in self._wandb_init:
            told = described(params)
            tags = [*told["tags"], *self._wandb_init["tags"]]
            said = {key: value for key, value in self._wandb_init.items() if value is not None}
            self._wandb_init = {**told, **said, "tags": tags, "config": params}

    @rank_zero_only
    def log_graph(self, model: nn.Module, input_array: Tensor | None = None) -> None:
        """Takes the model whose images are counted: of Logger's methods, the one called before the first metric."""
        self._model = model

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        seen = self._model.images_seen
        if seen >= self.experiment.starting_step:
            self.experiment.log({**metrics, "images_seen": seen}, step=seen)

    @rank_zero_only
    def log_checkpoint(self, path: Path) -> None:
        """A checkpoint as the artifact `model-<run id>`, with the JSON file beside it as its metadata."""
        import wandb

        measures = json.loads(path.with_suffix(".json").read_text())
        artifact = wandb.Artifact(f"model-{self.version}", type="model", metadata=measures)
        artifact.add_file(str(path))
        self.experiment.log_artifact(artifact, aliases=["latest", "best"])


def described(config: Mapping[str, Any]) -> dict[str, Any]:
    """Name, group, job type and tags of a run with this resolved config of `gan train`."""
    hydra = HydraConfig.get() if HydraConfig.initialized() else None
    chosen = hydra.runtime.choices if hydra else {}
    model, data = config["model"], config["data"]
    loss = _last(model["loss"]["_target_"])
    sweep = Path(hydra.sweep.dir).name if in_multirun() else os.environ.get("WANDB_SWEEP_ID")
    return {
        "name": f"{chosen.get('model') or _last(model['_target_'])}-{loss}-{config['seed']}",
        "group": sweep or chosen.get("experiment"),
        "job_type": "sweep" if sweep else "train",
        "tags": [chosen.get("data") or _last(data.get("source", data)["_target_"]), loss, *_git_sum()],
    }


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _git_sum() -> list[str]:
    """The short sum of the commit this code is at; none outside a repository, or without git."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.split()
    except OSError:
        return []
