"""The settings of a run, recorded once nothing can refuse them any more."""

from pathlib import Path

from lightning import Callback, Trainer
from omegaconf import DictConfig, OmegaConf

from gan.atomic_write import write_atomic
from gan.module import GAN
from gan.runs.folder import accept_run


class ConfigRecord(Callback):
    """Writes `config.yaml` and `.hydra/`.

    This happens when training starts: optimizers, schedules and callbacks have then been built and set up, and a
    setting that one of them refuses is not recorded.

    Args:
        cfg: the run's config.
    """

    def __init__(self, cfg: DictConfig) -> None:
        self.cfg = cfg
        self._recorded = False

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
        if trainer.is_global_zero:
            write_atomic(Path(self.cfg.output_dir, "config.yaml"), OmegaConf.to_yaml(self.cfg, resolve=True))
            accept_run()
        self._recorded = True

    def on_fit_end(self, trainer: Trainer, pl_module: GAN) -> None:
        if not self._recorded:  # a run of no epochs never starts to train
            self.on_train_start(trainer, pl_module)
