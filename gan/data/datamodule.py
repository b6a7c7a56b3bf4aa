"""MNISTDataModule: the images of any source, split, kept in memory, in batches."""

import logging
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from lightning import LightningDataModule
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from gan.config.bounds import require
from gan.data.batches import EvaluationBatches, TrainingBatches, stratified_split
from gan.data.idx_source import IDXFiles
from gan.data.mnist import MNIST
from gan.data.rare_images import rare_images
from gan.data.sklearn_digits import Digits
from gan.data.source import DataNotFoundError, Examples, Source, Split
from gan.errors import UserError

DEFAULT_VAL_SIZE = 5000
DEFAULT_DIR = "data"

log = logging.getLogger(__name__)


class MNISTDataModule(LightningDataModule):
    """Images as uint8 tensors in memory, on the GPU if the trainer has one, and batches made by indexing them.

    `setup` fills `train_images`, `train_labels`, `val_images`, `val_labels`, `test_images` and `test_labels`: uint8
    [N, C, 28, 28] and int64 [N], on the CPU. Batches are tuples (images, labels). Errors are UserErrors of one line.

    Args:
        source: None is MNIST; see `gan.data.Source` for one of your own.
        dir: the folder of the source's files, and of downloads. Only the default one need not exist.
        download: whether missing files may be downloaded.
        offline_fallback: whether scikit-learn's digits are used, with a warning, if there are no files and no download.
        batch_size: of training, per process.
        val_size: training images held out for validation, the same for each seed. 0 trains on all of them and validates
            on 5,000 of those.
        val_batch_size: of validation and test, per process.
        images_per_epoch: images of an epoch, the first ones of its order; a smaller data set repeats. None is each
            image once.
        stratified_batches: whether each training batch has its share of each class.
        rare_share: share of the training images of each class, those least like the others, that come twice as often;
            see `rare_images`.
        seed: of the order of training images, together with the epoch.
    """

    def __init__(
        self,
        source: Source | None = None,
        dir: str = DEFAULT_DIR,
        download: bool = True,
        offline_fallback: bool = False,
        batch_size: int = 128,
        val_size: int = DEFAULT_VAL_SIZE,
        val_batch_size: int = 500,
        images_per_epoch: int | None = None,
        stratified_batches: bool = False,
        rare_share: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not isinstance(source, Source | None):
            raise UserError(f"data.source={source}: {{_target_: gan.data.MNIST}}, another gan.data.Source, or null")
        require("data.dir", dir)
        require("data.download", download)
        require("data.offline_fallback", offline_fallback)
        require("data.batch_size", batch_size)
        require("data.val_size", val_size)
        require("data.val_batch_size", val_batch_size)
        require("data.images_per_epoch", images_per_epoch)
        require("data.stratified_batches", stratified_batches)
        require("data.rare_share", rare_share)
        require("data.seed", seed)
        self.source = source if source is not None else MNIST()
        if isinstance(self.source, IDXFiles):
            _require_folder(dir)
        self.source.dir, self.source.download = Path(dir).expanduser(), download
        self.offline_fallback = offline_fallback
        self.batch_size = batch_size
        self.val_size = val_size
        self.val_batch_size = val_batch_size
        self.images_per_epoch = images_per_epoch
        self.stratified_batches, self.rare_share = stratified_batches, rare_share
        self.seed = seed
        self._is_set_up = False

    def prepare_data(self) -> None:
        try:
            self.source.prepare()
        except DataNotFoundError as error:
            self._fall_back(error)
            log.warning("%s", error)

    def setup(self, stage: str | None = None) -> None:
        if not self._is_set_up:
            (images, labels), (test_images, test_labels) = self._read()
            if self.val_size >= len(images):
                raise UserError(
                    f"data.val_size={self.val_size}: it must be below {len(images):,}, the number of training images"
                )
            train, val = stratified_split(labels, self.val_size)
            if self.val_size == 0:
                val = stratified_split(labels, min(DEFAULT_VAL_SIZE, len(images)))[1]
                rank_zero_only(log.warning)(
                    f"data.val_size=0: validation measures against {len(val):,} of the training images"
                )
            self.train_images, self.train_labels = self._composed(images[train], labels[train], "train")
            self.val_images, self.val_labels = self._composed(images[val], labels[val], "val")
            self.test_images, self.test_labels = self._composed(test_images, test_labels, "test")
            self._is_set_up = True
        self._require_enough()

    @property
    def epoch_images(self) -> int:
        """Images of a training epoch, on all processes together."""
        return self.images_per_epoch or len(self.train_images) + len(self._rare)

    @cached_property
    def _rare(self) -> Tensor:
        """Indices of the training images that come twice as often."""
        if not self.rare_share:
            return torch.empty(0, dtype=torch.int64)
        return rare_images(self.train_images, self.train_labels, self.rare_share)

    def train_dataloader(self) -> TrainingBatches:
        rank, world_size = self._rank()
        images, labels = self.train_images, self.train_labels
        if len(self._rare):
            images, labels = torch.cat([images, images[self._rare]]), torch.cat([labels, labels[self._rare]])
        return TrainingBatches(
            *self._on_device(images, labels),
            batch_size=self.batch_size,
            seed=self.seed,
            rank=rank,
            world_size=world_size,
            images_per_epoch=self.images_per_epoch,
            # Lightning's overfit_batches means the same few batches each epoch.
            reshuffle=self.trainer is None or not getattr(self.trainer, "overfit_batches", 0),
            stratified=self.stratified_batches,
        )

    def val_dataloader(self) -> EvaluationBatches:
        images, labels = self._on_device(self.val_images, self.val_labels)
        return EvaluationBatches(images, labels, self.val_batch_size, *self._rank())

    def test_dataloader(self) -> EvaluationBatches:
        images, labels = self._on_device(self.test_images, self.test_labels)
        return EvaluationBatches(images, labels, self.val_batch_size, *self._rank())

    def _read(self) -> tuple[Examples, Examples]:
        # `prepare_data` ran on one rank only, so each rank decides here for itself; they all find the same files.
        try:
            train, test = self.source.train(), self.source.test()
        except DataNotFoundError as error:
            self._fall_back(error)
            train, test = self.source.train(), self.source.test()
        for examples in (train, test):
            _require_format(examples, self.source)
        return train, test

    def _composed(self, images: Tensor, labels: Tensor, split: Split) -> Examples:
        examples = self.source.compose(images, labels, split)
        _require_format(examples, self.source)
        images, labels = examples
        channels, classes = self.source.channels, self.source.num_classes
        gave = f"data.source={type(self.source).__name__}: gave"
        if images.shape[1] != channels:
            raise UserError(f"{gave} images of {images.shape[1]} channels; its `channels` is {channels}")
        if classes and bool(((labels < 0) | (labels >= classes)).any()):
            found = f"{labels.min()} to {labels.max()}"
            raise UserError(f"{gave} labels {found}; its `num_classes` allows 0 to {classes - 1}")
        return images, labels

    def _fall_back(self, error: DataNotFoundError) -> None:
        if not self.offline_fallback or self.source.channels != Digits.channels:
            raise error
        missing, self.source = self.source, Digits()
        count = len(self.source.train()[0])
        # `val_size` was chosen for a larger data set: hold out a fifth at most.
        self.val_size = min(self.val_size, count // 5)
        rank_zero_only(log.warning)(_fallback_text(missing, count - self.val_size))

    def _rank(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def _require_enough(self) -> None:
        world_size = self._rank()[1]
        most = self.epoch_images // world_size
        if self.batch_size > most:
            raise UserError(f"data.batch_size={self.batch_size}: at most {most:,}, the images of a process's epoch")
        if min(len(self.val_images), len(self.test_images)) < world_size:
            raise UserError(f"data.val_size={self.val_size}: at least one image for each of {world_size} processes")

    def _on_device(self, images: Tensor, labels: Tensor) -> Examples:
        if self.trainer is None or self.trainer.strategy.root_device.type != "cuda":
            return images, labels
        device = self.trainer.strategy.root_device
        return images.to(device), labels.to(device)


def _require_folder(dir: str) -> None:
    if not str(dir):
        raise UserError(f"data.dir={dir}: the path of a folder")
    path = Path(dir).expanduser().absolute()
    try:
        kind = "folder" if path.is_dir() else "file" if path.exists() else None
    except OSError as error:
        raise UserError(f"data.dir={dir}: {path} cannot be read ({error.strerror})") from error
    if kind == "file":
        raise UserError(f"data.dir={dir}: {path} is a file, not a folder")
    # A run records its folder as an absolute path, so the default comes in both forms.
    if kind is None and path != Path(DEFAULT_DIR).absolute():
        raise UserError(
            f"data.dir={dir}: there is no folder {path}; make it, if the data set is to be downloaded there"
        )


def _require_format(examples: Any, source: Source) -> None:
    # `compose` may change the number of channels afterwards, so it is not checked here.
    pair: Any = examples if isinstance(examples, tuple | list) and len(examples) == 2 else (examples, None)
    images, labels = pair
    are_tensors = isinstance(images, Tensor) and isinstance(labels, Tensor)
    fits = are_tensors and images.dtype == torch.uint8 and images.dim() == 4 and images.shape[2:] == (28, 28)
    if not fits or len(images) == 0 or labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
        kinds = (f"{one.dtype} {list(one.shape)}" if isinstance(one, Tensor) else type(one).__name__ for one in pair)
        given = "images {} and labels {}".format(*kinds)
        raise UserError(
            f"data.source={type(source).__name__}: gave {given}, not uint8 [N, C, 28, 28] and int64 [N] tensors"
        )


def _fallback_text(missing: Source, count: int) -> str:
    lines = [
        f"NOT TRAINING ON {missing.name.upper()}",
        "",
        f"Its files are not in {missing.dir.absolute()} and cannot be downloaded.",
        f"Training on scikit-learn's digits instead: {count:,} small images.",
        "Results will be poorer. Do not compare them with results on the real data.",
        "With data.offline_fallback=false the run ends here with an error.",
    ]
    width = max(map(len, lines))
    edge = "#" * (width + 8)
    return "\n".join(["", edge, *(f"##  {line:<{width}}  ##" for line in lines), edge])
