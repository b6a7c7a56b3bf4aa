"""The pictures of an evaluation: what the numbers mean to the eye."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix
from torch import Tensor

from gan.images import enlarge, grid
from gan.metrics import ImageMeasures
from gan.metrics.features import ImageFeatures
from gan.metrics.measures.neighbours import nearest
from gan.randomness import shuffled

MAP_POINTS = 2000


def save_pictures(
    folder: Path, images: Tensor, labels: Tensor | None, real: Tensor, training: Tensor, measures: ImageMeasures
) -> None:
    """Writes the pictures of images and their labels, which were added to `measures`, into a folder, as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    _side_by_side(real[:64], images[:64]).savefig(folder / "real_and_generated.png", dpi=150)
    enlarge(grid(_by_class(images, labels, measures), columns=10)).save(folder / "by_class.png")
    sets = measures.sets()
    seen, reads_digits = sets.generated, measures.extractor.reads_digits
    feature_map(sets.real, seen, reads_digits, measures.seed).savefig(folder / "features.png", dpi=150)
    if measures.need_training:
        shown = images[:10]
        features, _ = measures.extractor(shown.to(measures.extractor.device))
        _, neighbours = nearest(features.to(sets.training.features), sets.training.features, count=5)
        rows = torch.cat([shown.unsqueeze(1), training[neighbours.cpu()]], dim=1).flatten(0, 1)
        enlarge(grid(rows, columns=6)).save(folder / "nearest_training.png")
    if seen.labels is not None and seen.logits.shape[1] == 10 and reads_digits:
        confusion(seen.labels.cpu(), seen.digits.cpu()).savefig(folder / "confusion.png", dpi=150)


def feature_map(real: ImageFeatures, generated: ImageFeatures, reads_digits: bool, seed: int = 0) -> Figure:
    """Features of some real and generated images, projected onto the two principal components of the real ones."""
    center = _in_plane(real.features).mean(0)
    variances, components = torch.linalg.eigh((_in_plane(real.features) - center).T.cov(correction=0))
    plane = components[:, [-1, -2]]
    plane = plane * torch.where(plane.sum(0) < 0, -1, 1)  # an eigenvector's own sign is arbitrary
    last_class = max(9, int(_first_digits(real, reads_digits).max()))
    figure = Figure(figsize=(11, 5.8), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, images, title in zip(panels, (real, generated), ("real", "generated"), strict=True):
        chosen = shuffled(len(images), seed)[:MAP_POINTS]
        points = ((_in_plane(images.features[chosen]) - center) @ plane).T.cpu()
        classes = _first_digits(images, reads_digits)[chosen].cpu()
        scatter = axes.scatter(*points, c=classes, cmap="tab10", vmin=0, vmax=last_class, s=7, linewidths=0)
        axes.set(title=f"{len(chosen):,} {title} images", xlabel="first principal component")
        if images is real:
            axes.set_ylabel("second principal component")
            handles = scatter.legend_elements(num=None)
            kind = "digit" if reads_digits else "class"
            figure.legend(*handles, title=kind, loc="outside right center", frameon=False)
    share = variances[-2:].sum() / variances.sum()
    figure.suptitle(f"Extractor features in the plane of most variance among the real images ({share:.0%} of it)")
    return figure


def _in_plane(features: Tensor) -> Tensor:
    """Features of at least two dimensions: a single one gets a second of zeros."""
    return torch.nn.functional.pad(features, (0, max(0, 2 - features.shape[1])))


def _first_digits(images: ImageFeatures, reads_digits: bool) -> Tensor:
    """The class of each image: its label, else the digit read in it (the first of several), else 0."""
    if images.labels is None and not reads_digits:
        return torch.zeros(len(images))
    classes = images.digits if images.labels is None else images.labels
    return classes // (images.logits.shape[1] // 10) if reads_digits else classes


def _by_class(images: Tensor, labels: Tensor | None, measures: ImageMeasures) -> Tensor:
    """A hundred images: columns are ten labels or, where there are none, the digits read in the images."""
    if labels is None or labels.max() > 9:
        if not measures.extractor.reads_digits:
            return images[:100]
        labels = measures.extractor(images[:, :1].to(measures.extractor.device))[1].argmax(1).cpu()
    columns = [images[labels == label][:10] for label in range(10)]
    blank = torch.zeros(10, *images.shape[1:], dtype=torch.uint8)
    return torch.stack([torch.cat([column, blank])[:10] for column in columns], dim=1).flatten(0, 1)


def _side_by_side(real: Tensor, generated: Tensor) -> Figure:
    figure = Figure(figsize=(8, 4.3), layout="tight")
    for axes, images, title in zip(figure.subplots(1, 2), (real, generated), ("real", "generated"), strict=True):
        axes.imshow(np.asarray(grid(images)), cmap="gray")
        axes.set_title(title)
        axes.set_axis_off()
    return figure


def confusion(labels: Tensor, digits: Tensor) -> Figure:
    """In which share of the images of each label each digit is read."""
    figure = Figure(figsize=(5.5, 5), layout="tight")
    axes = figure.subplots()
    shares = confusion_matrix(labels, digits, labels=range(10), normalize="true")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.0005:
            color = "white" if share > 0.5 else "black"
            axes.text(column, row, f"{100 * share:.1f}", ha="center", va="center", fontsize=7, color=color)
    axes.set(xlabel="digit read", ylabel="requested digit", title="percent of the images of each requested digit")
    axes.set(xticks=range(10), yticks=range(10))
    return figure
