"""A run in TensorBoard: `gan train 'logger=[csv,tensorboard]'`, then `tensorboard --logdir outputs`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from gan.config.targets import leaves
from gan.errors import check_installed
from gan.loggers.image_axis import ImageAxis
from gan.module import GAN


class TensorBoardRun(ImageAxis, TensorBoardLogger):
    """Curves over the images seen; at the end the run's config as HParams, with the last value of each measure.

    A resumed run writes into the same folder. TensorBoard then drops what was logged after the checkpoint. Without the
    package tensorboard this is a UserError.
    """

    hparams: dict[str, Any]

    def __init__(self, save_dir: str | Path) -> None:
        check_installed("logger=tensorboard", "tracking", "tensorboard")
        super().__init__(save_dir, name="", version="", default_hp_metric=False)
        self._measures: dict[str, float] = {}
        self._events = Path(save_dir, "events")

    @property
    def log_dir(self) -> str:
        """The folder as it is; Lightning's would replace a $NAME in it by a variable of the environment."""
        return str(self.save_dir)

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Keeps the first config, the run's. Lightning passes the model's part of it once more."""
        self.hparams = self.hparams or params

    @rank_zero_only
    def follow(self, module: GAN) -> None:
        """Also tells TensorBoard to drop what a resumed run logs again."""
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        super().follow(module)
        if module.images_seen:
            start = SessionLog(status=SessionLog.START)
            self.experiment.file_writer.add_event(Event(step=module.images_seen + 1, session_log=start))

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._measures |= {name: float(value) for name, value in metrics.items() if name.startswith("val/")}
        with self.files.writing(self._events):
            super().log_metrics(metrics, self.images_at(metrics, step))

    @rank_zero_only
    def save(self) -> None:
        with self.files.writing(self._events):
            super().save()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        from torch.utils.tensorboard.summary import hparams

        with self.files.writing(self._events):
            # SummaryWriter.add_hparams would also log each measure once more.
            config = {key: _hparam(value) for key, value in leaves(self.hparams, separator="/")}
            for summary in hparams(config, self._measures):
                self.experiment.file_writer.add_summary(summary)
            super().finalize(status)


def _hparam(value: Any) -> bool | int | float | str:
    """A config's value as one that HParams takes."""
    if isinstance(value, bool | int | float):
        return value
    # a path that Python could not decode has characters that no UTF-8 has
    return str(value).encode(errors="surrogateescape").decode(errors="replace")
