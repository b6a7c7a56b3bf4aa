"""A run in TensorBoard: `gan train 'logger=[csv,tensorboard]'`, then `tensorboard --logdir outputs`."""

import os
from collections.abc import Mapping
from typing import Any

from lightning.fabric.utilities.logger import _flatten_dict
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor, nn

from gan.errors import check_installed


class TensorBoardRun(TensorBoardLogger):
    """Curves over images seen, and at the end the first config it was handed as HParams, with the final measures.

    A resumed run writes into the same folder; TensorBoard then drops what was logged after the checkpoint.

    Args:
        save_dir: the folder of the event files.

    Raises:
        UserError: no package tensorboard.
    """

    def __init__(self, save_dir: str | os.PathLike[str]) -> None:
        check_installed("logger=tensorboard", "tracking", "tensorboard")
        super().__init__(save_dir, name="", version="", default_hp_metric=False)
        self._model: nn.Module | None = None
        self._measures: dict[str, float] = {}

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any]) -> None:
        """Keeps the run's config; the module's own parameters, which come later, are in it."""
        self.hparams = self.hparams or params

    @rank_zero_only
    def log_graph(self, model: nn.Module, input_array: Tensor | None = None) -> None:
        """Drops what a resumed run logs again: of Logger's methods, the one called once a checkpoint is restored."""
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        self._model = model
        if model.images_seen:
            start = SessionLog(status=SessionLog.START)
            self.experiment._get_file_writer().add_event(Event(step=model.images_seen + 1, session_log=start))

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._measures |= {name: float(value) for name, value in metrics.items() if name.startswith("val/")}
        super().log_metrics(metrics, self._model.images_seen)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        from torch.utils.tensorboard.summary import hparams

        for summary in hparams(self._sanitize_params(_flatten_dict(self.hparams)), self._measures):
            self.experiment._get_file_writer().add_summary(summary)
        super().finalize(status)
