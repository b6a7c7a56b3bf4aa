"""Measures the averaged generator at each validation: `val/fid_mnist` and the others."""

import logging
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Any

from lightning import Callback
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from gan.errors import UserError
from gan.metrics import Extractor, ImageMeasures, Measure, build_extractor, build_measures
from gan.metrics.collapse import signs_of_collapse
from gan.metrics.extractor import ExtractorMissingError
from gan.metrics.measures.base import Direction
from gan.module import GAN
from gan.randomness import shuffled
from gan.trainer_types import Trainer, limited

FLOOR_SEED = 0  # of the training images that are taken
EARLY = 20_000  # images seen until which most networks generate the same image for every latent

log = logging.getLogger("gan")


class ValidationMeasures(Callback):
    """Compares generated images of fixed latents with the held-out real ones.

    The features of the real images and their statistics are computed at the first validation and kept. Measures that
    need more images or labels than a validation has are left out with a warning, and so are all where the extractor
    reads classes that the data does not show, or has not been trained yet. Nothing of this enters a checkpoint. Signs
    of mode collapse at two validations in a row are warned of once. The first measure is shown in the progress bar.
    Fewer `kid_subsets` take less time and vary more.
    """

    def __init__(
        self,
        extractor: str | Mapping[str, Any] | Extractor = "mnist",
        inception_weights: str | None = None,
        measures: Sequence[str | Mapping[str, Any] | Measure] = ("fid", "is", "kid", "digit_accuracy"),
        kid_subsets: int = 20,
    ) -> None:
        self.extractor, self.inception_weights = extractor, inception_weights
        self.wanted, self.kid_subsets = measures, kid_subsets
        self._measures: ImageMeasures | None = None
        self.directions: dict[str, Direction | None] = {}  # which is better, by the metric's name
        self._warned: set[str] = set()
        self._collapsed = False  # whether the last validation showed signs of mode collapse

    def on_fit_start(self, trainer: Trainer, pl_module: GAN) -> None:
        try:
            extractor = build_extractor(self.extractor, self.inception_weights, pl_module.device)
            reason = extractor.misfit(trainer.datamodule.source)
        except ExtractorMissingError as error:
            reason = str(error)
        if reason:
            self._warn(trainer, f"nothing is measured in validation: {reason}")
        else:
            measures = build_measures(self.wanted, extractor, {"kid": {"subsets": self.kid_subsets}})
            usable = [measure for measure in measures if pl_module.num_classes or not measure.needs_labels]
            self._measures, self._has_real = ImageMeasures(extractor, usable), False
            for measure in usable:
                for key, better in measure.values.items():
                    self.directions[self._measures.metric_name("val", key)] = better
        _refuse_unknown_monitors(trainer, self.directions if trainer.enable_validation else ())

    def on_validation_start(self, trainer: Trainer, pl_module: GAN) -> None:
        if trainer.state.fn == TrainerFn.VALIDATING:  # `trainer.validate` has no start of a fit
            self.on_fit_start(trainer, pl_module)

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: GAN, outputs: tuple[Tensor, Tensor | None], batch: Sequence[Tensor], *_: int
    ) -> None:
        if self._measures is not None:
            self._measures.generated.add(*outputs)
            if not self._has_real:
                self._measures.real.add(*batch)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: GAN) -> None:
        if self._measures is None:
            return
        values = self._measures.compute()
        sets = None if trainer.sanity_checking or not self._measures.extractor.reads_digits else self._measures.sets()
        self._measures.generated.clear()
        if trainer.sanity_checking:  # which takes a few batches only, and not the whole validation set
            self._measures.real.clear()
            return
        self._has_real = True
        first = next(iter(self._measures.measures), None)
        for key, value in values.items():
            name = self._measures.metric_name("val", key)
            pl_module.log(name, value, prog_bar=key == first, sync_dist=True)
        for reason in self._measures.skipped.values():
            self._warn(trainer, f"left out of validation: {reason}")
        if self._measures.skipped:
            _refuse_unknown_monitors(trainer, {self._measures.metric_name("val", key) for key in values})
        if sets is not None and trainer.is_global_zero and pl_module.images_seen >= EARLY:
            signs, before = signs_of_collapse(sets.real, sets.generated), self._collapsed
            self._collapsed = signs is not None
            if signs and before and "collapse" not in self._warned:  # at a single validation it may be passing
                self._warned.add("collapse")
                log.warning("%s", signs)

    def floor(self, trainer: Trainer) -> dict[str, float]:
        """The same measures of real training images, as many as there are held-out ones; by name, `val/fid_mnist`.

        It is empty where it is not known: in a new run before a validation, with an extractor that takes minutes, in a
        run of several processes, and where no images are held out.
        """
        measures, data = self._measures, trainer.datamodule
        if measures is None or measures.extractor.slow or trainer.world_size > 1 or not data.val_size:
            return {}
        if not self._has_real and trainer.ckpt_path is not None:
            loader = data.val_dataloader()
            for batch in islice(loader, limited(len(loader), trainer.limit_val_batches)):
                measures.real.add(*batch)
        if not (size := len(measures.real.all())):
            return {}
        sample = shuffled(len(data.train_images), FLOOR_SEED)[:size]
        measures.generated.add(data.train_images[sample], data.train_labels[sample])
        values = measures.compute(against_training=False)
        measures.generated.clear()
        return {measures.metric_name("val", key): value for key, value in values.items()}

    def _warn(self, trainer: Trainer, text: str) -> None:
        if trainer.is_global_zero and text not in self._warned:
            self._warned.add(text)
            log.warning("%s", text)

    def teardown(self, trainer: Trainer, pl_module: GAN, stage: Any) -> None:
        self._measures = None


def _refuse_unknown_monitors(trainer: Trainer, measured: Collection[str]) -> None:
    """A UserError for a callback of Lightning's that monitors what nobody logs: it would end the run."""
    parts: list[object] = [trainer.lightning_module, *trainer.callbacks]
    if any(type(part).__module__.partition(".")[0] not in ("gan", "lightning") for part in parts):
        return  # which may log what it likes
    for callback in trainer.callbacks:
        monitor = callback.monitor if isinstance(callback, EarlyStopping | ModelCheckpoint) else None
        if monitor and monitor not in measured and not monitor.startswith("train/"):
            names = ", ".join(sorted(measured)) or "nothing"
            raise UserError(f"callbacks: {type(callback).__name__} has monitor={monitor}; validation measures {names}")
