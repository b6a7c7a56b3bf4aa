"""Grids of samples from fixed latents, which show the progress of a run."""

import math
import re
from pathlib import Path
from typing import Any

import torch
from lightning import Callback
from lightning.pytorch.loggers import Logger
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from gan.config.bounds import require
from gan.images import enlarge, grid, save_picture
from gan.module import GAN
from gan.optional_files import OptionalFiles
from gan.randomness import latents
from gan.trainer_types import Trainer

LOGGER_KEY = "samples"
MAX_COLUMNS = 10


class SampleGrid(Callback):
    """Saves a grid of samples to `samples/` of the run's folder, and logs it with each logger that takes pictures.

    The grid of a conditional model has a row for each latent and a column for each of the first ten classes; the number
    of images is rounded up to whole rows. There is always a grid before and one after training. A grid that cannot be
    written costs a warning.
    """

    def __init__(
        self, seed: int, num_images: int = 64, every_n_batches: int | None = None, every_n_epochs: int = 1
    ) -> None:
        self.seed, self.num_images = seed, num_images
        self.every_n_batches, self.every_n_epochs = every_n_batches, every_n_epochs
        for name in ("seed", "num_images", "every_n_epochs", "every_n_batches"):
            require(f"callbacks.samples.{name}", getattr(self, name))
        self._files = OptionalFiles()

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
        if trainer.is_global_zero:
            for path, _, images_seen in saved_grids(Path(trainer.default_root_dir)):
                if images_seen > pl_module.images_seen or pl_module.images_seen == 0:
                    path.unlink()
        if pl_module.images_seen == 0:
            self._save(trainer, pl_module, epoch=0)

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self._batch_due(trainer) and not trainer.is_last_batch:
            self._save(trainer, pl_module, trainer.current_epoch)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: GAN) -> None:
        epoch = trainer.current_epoch + 1
        if epoch % self.every_n_epochs == 0 or self._batch_due(trainer):
            self._save(trainer, pl_module, epoch)

    def on_train_end(self, trainer: Trainer, pl_module: GAN) -> None:
        self._save(trainer, pl_module, trainer.current_epoch)

    def _batch_due(self, trainer: Trainer) -> bool:
        return bool(self.every_n_batches and (trainer.fit_loop.total_batch_idx + 1) % self.every_n_batches == 0)

    def _save(self, trainer: Trainer, pl_module: GAN, epoch: int) -> None:
        run_dir = Path(trainer.default_root_dir)
        if not trainer.is_global_zero or any(seen == pl_module.images_seen for _, _, seen in saved_grids(run_dir)):
            return
        z, labels, columns = grid_inputs(pl_module, self.seed, self.num_images)
        picture = enlarge(grid(pl_module.generate(z, labels), columns))
        name = f"epoch_{epoch:04d}_images_{pl_module.images_seen:010d}.png"  # the names sort by time
        with self._files.writing(run_dir / "samples" / name) as path:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_picture(picture, path)
        for logger in trainer.loggers:
            with self._files.writing(Path(type(logger).__name__, LOGGER_KEY)):
                log_picture(logger, LOGGER_KEY, picture, step=pl_module.images_seen)


def grid_inputs(pl_module: GAN, seed: int, num_images: int) -> tuple[Tensor, Tensor | None, int | None]:
    """Latents, labels and columns of a grid. For a conditional model each row has one latent, each column one class.

    Returns:
        float [N, latent_dim], N >= num_images; int64 [N] or None; the number of columns, or None without classes.
    """
    if not pl_module.num_classes:
        return latents(seed, 0, num_images, pl_module.latent_dim), None, None
    columns = min(pl_module.num_classes, MAX_COLUMNS)
    rows = math.ceil(num_images / columns)
    styles = latents(seed, 0, rows, pl_module.latent_dim)
    return styles.repeat_interleave(columns, dim=0), torch.arange(columns).repeat(rows), columns


def saved_grids(run_dir: Path) -> list[tuple[Path, int, int]]:
    """The path, finished epochs and images seen of each grid in a run's folder, the oldest first."""
    found = []
    for path in sorted((run_dir / "samples").glob("epoch_*.png")):
        if match := re.fullmatch(r"epoch_(\d+)_images_(\d+)", path.stem):
            found.append((path, int(match[1]), int(match[2])))
    return found


def log_picture(logger: Logger, key: str, picture: Image.Image, step: int) -> None:
    """Logs a picture with a logger that takes pictures (Weights & Biases, TensorBoard); others are skipped."""
    if hasattr(logger, "log_image"):
        logger.log_image(key, [picture], step=step)
    elif add_image := getattr(getattr(logger, "experiment", None), "add_image", None):
        add_image(key, pil_to_tensor(picture), step)
