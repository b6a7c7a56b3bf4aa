"""Measures the averaged generator at each validation: `val/fid_mnist` and its neighbours."""

import logging
from collections.abc import Sequence
from typing import Any

from lightning import Callback, Trainer
from torch import Tensor

from gan.metrics import ImageMeasures, build_extractor, metric_name
from gan.module import GAN

log = logging.getLogger("gan")


class ValidationMeasures(Callback):
    """Compares generated images of fixed latents with the held-out real ones, whose features are computed once.

    Measures that a validation has too few images for are left out with a warning, and all of digits where the data
    shows none. Nothing of it enters a checkpoint.

    Args:
        extractor: "mnist" or "inception".
        inception_weights: file of Inception's weights; fetched on first use when not given.
        measures: names of `gan.metrics.MEASURES`.
        kid_subsets: random draws of KID; fewer cost less time and spread more.
    """

    def __init__(
        self,
        extractor: str = "mnist",
        inception_weights: str | None = None,
        measures: Sequence[str] = ("fid", "is", "kid", "digit_accuracy"),
        kid_subsets: int = 20,
    ) -> None:
        self.extractor, self.inception_weights = extractor, inception_weights
        self.wanted, self.kid_subsets = list(measures), kid_subsets
        self._measures: ImageMeasures | None = None
        self._told: set[str] = set()

    def on_fit_start(self, trainer: Trainer, pl_module: GAN) -> None:
        source = trainer.datamodule.source
        extractor = build_extractor(self.extractor, self.inception_weights)
        if extractor.reads_digits and not source.shows_digits:
            self._warn(trainer, f"{source.name} shows no digits to measure; metrics.extractor=inception measures it")
            return
        wanted = [name for name in self.wanted if name != "digit_accuracy" or pl_module.num_classes]
        device = pl_module.device
        extractor = extractor if device.type == "mps" else extractor.to(device)
        self._measures = ImageMeasures(extractor, wanted, kid_subsets=self.kid_subsets)
        self._has_real = False

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: GAN,
        outputs: tuple[Tensor, Tensor | None],
        batch: tuple[Tensor, Tensor],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if self._measures is not None:
            self._measures.update_generated(*outputs)
            if not self._has_real:
                self._measures.update_real(*batch)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: GAN) -> None:
        if self._measures is None:
            return
        self._has_real = True
        values = self._measures.compute()
        self._measures.reset_generated()
        for key, value in values.items():
            pl_module.log(metric_name("val", key, self.extractor), value, prog_bar=key == "fid", sync_dist=True)
        for reason in self._measures.skipped.values():
            self._warn(trainer, f"left out of validation: {reason}")

    def _warn(self, trainer: Trainer, text: str) -> None:
        if trainer.is_global_zero and text not in self._told:
            self._told.add(text)
            log.warning("%s", text)

    def teardown(self, trainer: Trainer, pl_module: GAN, stage: Any) -> None:
        self._measures = None
