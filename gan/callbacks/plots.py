"""Pictures of a run, written to `plots/` at its end: curves, generated images beside real ones, its progress."""

import logging
import math
from collections.abc import Sequence
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import torch
from lightning import Callback
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor

from gan.atomic_write import atomic_file
from gan.callbacks.sample_grids import grid_inputs, saved_grids
from gan.config.bounds import require
from gan.images import enlarge, grid, save_gif, save_picture
from gan.loggers import CSVMetrics, images_of, read_rows
from gan.module import GAN
from gan.optional_files import OptionalFiles
from gan.randomness import latents, shuffled, slerp
from gan.trainer_types import Trainer

log = logging.getLogger(__name__)

INTERPOLATION_ROWS, INTERPOLATION_STEPS = 10, 12
COLLAGE_FRAMES, GIF_FRAMES = 12, 120
SMOOTHED_OVER = 25
NETWORKS = {"discriminator": "discriminator", "generator": "generator"}
IMAGES = {"real": "real images", "fake": "generated images"}


class Curves(NamedTuple):
    """One picture of curves. The columns of metrics.csv are `prefix` and a key of `labels`, which name the curves."""

    name: str
    y_label: str
    prefix: str
    labels: dict[str, str]
    noisy: bool = True
    y_range: tuple[float, float | None] | None = None


CURVES = (
    Curves("losses", "loss (mean over a batch)", "train/loss_", NETWORKS),
    Curves("learning_rates", "learning rate", "train/lr_", NETWORKS, noisy=False, y_range=(0, None)),
    Curves("discriminator_accuracy", "share of images judged right", "train/accuracy_", IMAGES, y_range=(0, 1.02)),
)


class TrainingPlots(Callback):
    """Writes `plots/` of the run's folder when training ends or is interrupted with Ctrl-C.

    The progress needs `SampleGrid` before this callback, the curves need `logger=csv`; without them they are left out.
    A picture that cannot be made costs a warning.
    """

    def __init__(self, seed: int = 0, num_images: int = 64) -> None:
        require("callbacks.plots.seed", seed)
        require("callbacks.plots.num_images", num_images)
        self.seed, self.num_images = seed, num_images
        self._files = OptionalFiles()

    @rank_zero_only
    def on_train_end(self, trainer: Trainer, pl_module: GAN) -> None:
        run_dir = Path(trainer.default_root_dir)
        folder = run_dir / "plots"
        with self._files.writing(folder / "curves"):
            folder.mkdir(parents=True, exist_ok=True)
            plot_curves(trainer, folder)
        with self._files.writing(folder / "real_and_generated.png") as path:
            real, labels = trainer.datamodule.val_images, trainer.datamodule.val_labels
            save_picture(self._beside_real(pl_module, real.cpu(), labels.cpu()), path)
        with self._files.writing(folder / "interpolation.png") as path:
            save_picture(self._interpolation(pl_module), path)
        with self._files.writing(folder / "progress.png"):
            plot_progress(run_dir, folder)

    def on_exception(self, trainer: Trainer, pl_module: GAN, exception: BaseException) -> None:
        if isinstance(exception, KeyboardInterrupt) and pl_module.images_seen:
            self.on_train_end(trainer, pl_module)

    def _beside_real(self, pl_module: GAN, real: Tensor, real_labels: Tensor) -> Image.Image:
        z, labels, columns = grid_inputs(pl_module, self.seed, self.num_images)
        order = shuffled(len(real), self.seed)
        chosen = order[: len(z)].tolist()
        if labels is not None:  # of each class in turn; any images where a class has none
            of_class = [order[real_labels[order] == label].tolist() for label in range(int(labels.max()) + 1)]
            taken = [cycle(found or order.tolist()) for found in of_class]
            chosen = [next(taken[label]) for label in labels.tolist()]
        return side_by_side(
            captioned(grid(real[chosen], columns), "Real"),
            captioned(grid(pl_module.generate(z, labels), columns), "Generated"),
        )

    def _interpolation(self, pl_module: GAN) -> Image.Image:
        ends = latents(self.seed, 0, 2 * INTERPOLATION_ROWS, pl_module.latent_dim)
        z = slerp(ends[0::2], ends[1::2], INTERPOLATION_STEPS).flatten(0, 1)
        labels, caption = None, "Each row interpolates between two latents"
        if pl_module.num_classes:
            labels = torch.arange(INTERPOLATION_ROWS).remainder(pl_module.num_classes)
            labels = labels.repeat_interleave(INTERPOLATION_STEPS)
            caption += " within one class"
        return captioned(grid(pl_module.generate(z, labels), INTERPOLATION_STEPS), caption)


def plot_curves(trainer: Trainer, folder: Path) -> None:
    """Plots each of CURVES that has values in the run's metrics.csv; where there are none, the log says why."""
    tables = [logger.path for logger in trainer.loggers if isinstance(logger, CSVMetrics)]
    if not tables:
        log.info("no curves in %s: they need logger=csv", folder)
        return
    rows, drawn = read_rows(tables[0]), False
    for curves in CURVES:
        lines = {label: series(rows, curves.prefix + end) for end, label in curves.labels.items()}
        lines = {label: points for label, points in lines.items() if points[0]}
        if lines:
            _plot(curves, lines, folder / f"{curves.name}.png")
            drawn = True
    if not drawn:
        every, batches = trainer.log_every_n_steps, trainer.fit_loop.total_batch_idx + 1
        reason = f"the run has {batches:,} batches, and trainer.log_every_n_steps={every} logged none of them"
        log.info("no curves in %s: %s", folder, reason)


def series(rows: Sequence[dict[str, str]], column: str) -> tuple[list[int], list[float]]:
    """Images seen and values of a column. A row without images seen has those of the row before."""
    seen, x, y = 0, [], []
    for row in rows:
        seen = images_of(row) or seen
        if row.get(column):
            with suppress(ValueError):  # a hand has changed it
                y.append(float(row[column]))
                x.append(seen)
    return x, y


def _plot(curves: Curves, lines: dict[str, tuple[list[int], list[float]]], path: Path) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    figure = Figure(figsize=(8, 4.5), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for (label, (x, y)), colour, style in zip(lines.items(), ("tab:blue", "tab:orange"), ("-", "--"), strict=False):
        if curves.noisy and len(y) > 2 * SMOOTHED_OVER:
            axes.plot(x, y, color=colour, alpha=0.25)
            axes.plot(x, _smoothed(y), color=colour, linewidth=2, label=f"{label} (running mean)")
        else:
            axes.plot(x, y, style, color=colour, linewidth=2, label=label, marker="o" if len(y) == 1 else None)
    axes.set(title=curves.name.replace("_", " ").capitalize(), xlabel="real images seen", ylabel=curves.y_label)
    if curves.y_range:
        axes.set_ylim(*curves.y_range)
    axes.ticklabel_format(axis="y", scilimits=(-3, 4))
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    with atomic_file(path) as file:
        figure.savefig(file, format="png")


def _smoothed(values: list[float]) -> list[float]:
    """The mean of each value and up to SMOOTHED_OVER - 1 before it."""
    ends = range(1, len(values) + 1)
    return [sum(values[max(0, end - SMOOTHED_OVER) : end]) / min(end, SMOOTHED_OVER) for end in ends]


def plot_progress(run_dir: Path, folder: Path) -> None:
    """A collage and an animation of the grids in `samples/`, each with its epoch and images seen."""
    saved = saved_grids(run_dir)
    if not saved:
        return
    few = [_frame(*saved[i]) for i in evenly_spaced(len(saved), COLLAGE_FRAMES)]
    columns = min(4, math.ceil(math.sqrt(len(few))))
    save_picture(side_by_side(*few, columns=columns), folder / "progress.png")
    frames = [_frame(*saved[i]) for i in evenly_spaced(len(saved), GIF_FRAMES)]
    seconds = min(0.5, 10 / len(frames))
    pause = [frames[-1]] * round(2 / seconds)
    with atomic_file(folder / "progress.gif") as file:
        save_gif(frames + pause, file, seconds)


def evenly_spaced(count: int, most: int) -> list[int]:
    """At most `most` of the indices 0..count-1, evenly spaced, with the first and the last."""
    picked = min(count, most)
    return [round(i * (count - 1) / max(1, picked - 1)) for i in range(picked)]


def _frame(path: Path, epoch: int, images_seen: int) -> Image.Image:
    with Image.open(path) as picture:
        return captioned(picture, f"epoch {epoch}, {images_seen:,} images")


def captioned(picture: Image.Image, caption: str) -> Image.Image:
    """The picture, enlarged to be looked at, on a white sheet under a caption."""
    size, margin = 20, 10
    sheet = ImageOps.expand(enlarge(picture), (margin, size + 2 * margin, margin, margin), "white")
    ImageDraw.Draw(sheet).text((margin, margin), caption, fill="black", font=ImageFont.load_default(size))
    return sheet


def side_by_side(*pictures: Image.Image, columns: int | None = None) -> Image.Image:
    """The pictures on a white sheet, in one row, or in as many columns as given."""
    columns = columns or len(pictures)
    width, height = (max(sides) for sides in zip(*(picture.size for picture in pictures), strict=True))
    sheet = Image.new("RGB", (columns * width, math.ceil(len(pictures) / columns) * height), "white")
    for i, picture in enumerate(pictures):
        sheet.paste(picture, (i % columns * width, i // columns * height))
    return sheet
