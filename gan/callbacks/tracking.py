"""A run in Weights & Biases: its id in checkpoints, a table of samples and the best checkpoint at the end."""

from pathlib import Path
from typing import Any

from lightning import Callback
from lightning.pytorch.utilities import rank_zero_only

from gan.callbacks.sample_grids import grid_inputs
from gan.callbacks.validation import ValidationMeasures
from gan.images import pictures
from gan.loggers.wandb import WandbRun
from gan.metrics import DigitExtractor
from gan.module import GAN
from gan.optional_files import OptionalFiles, read_json
from gan.trainer_types import Trainer

TABLE_KEY = "recognized_samples"


class WandbRecord(Callback):
    """Keeps the W&B run's id in each checkpoint, so that a resumed run continues it, and logs the results at its end.

    These are a table of samples with the digit that the classifier sees in each and its confidence (only for data that
    shows digits), as many of each class, and with `log_checkpoint` the best checkpoint as an artifact, whose metadata
    is the JSON file beside it.
    """

    def __init__(self, directory: str, seed: int, num_images: int = 100, log_checkpoint: bool = False) -> None:
        self.best = Path(directory) / "best.ckpt"
        self.seed, self.num_images, self.log_checkpoint = seed, num_images, log_checkpoint
        self._files = OptionalFiles()

    def on_save_checkpoint(self, trainer: Trainer, pl_module: GAN, checkpoint: dict[str, Any]) -> None:
        for run in _runs(trainer):
            checkpoint["wandb_id"] = run.version

    @rank_zero_only
    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
        for measures in (each for each in trainer.callbacks if isinstance(each, ValidationMeasures)):
            for metric, better in measures.directions.items():
                if better is None:
                    continue
                best = "min" if better == "lower" else "max"
                for run in _runs(trainer):  # the summary shows the best value, and not the last
                    with run.sending():
                        run.experiment.define_metric(metric, step_metric="images_seen", summary=best)

    @rank_zero_only
    def on_train_end(self, trainer: Trainer, pl_module: GAN) -> None:
        for run in _runs(trainer):
            with self._files.writing(Path("wandb", TABLE_KEY)):
                if trainer.datamodule.source.shows_digits:
                    self._log_table(run, pl_module)
            with self._files.writing(self.best):
                if self.log_checkpoint and self.best.is_file():
                    self._log_best(run)

    def _log_best(self, run: WandbRun) -> None:
        from wandb import Artifact

        measures = read_json(self.best.with_suffix(".json"))
        artifact = Artifact(f"model-{run.version}", type="model", metadata=measures)
        artifact.add_file(str(self.best))
        run.experiment.log_artifact(artifact, aliases=["latest", "best"])

    def _log_table(self, run: WandbRun, pl_module: GAN) -> None:
        from wandb import Image

        z, labels, _ = grid_inputs(pl_module, self.seed, self.num_images)
        images = pl_module.generate(z, labels).cpu()
        confidence, recognized = DigitExtractor()(images)[1].softmax(1).max(1)
        columns: dict[str, list[Any]] = {} if labels is None else {"class": labels.tolist()}
        columns |= {"recognized": recognized.tolist(), "confidence": confidence.tolist()}
        columns["image"] = [Image(picture) for picture in pictures(images)]
        rows = sorted(zip(*columns.values(), strict=True), key=lambda row: row[0])
        run.log_table(TABLE_KEY, columns=list(columns), data=[list(row) for row in rows])


def _runs(trainer: Trainer) -> list[WandbRun]:
    return [logger for logger in trainer.loggers if isinstance(logger, WandbRun)]
