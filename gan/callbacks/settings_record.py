"""The settings of a run, recorded in its folder when training starts."""

from pathlib import Path

from lightning import Callback
from omegaconf import DictConfig, OmegaConf

from gan.atomic_write import write_atomic
from gan.module import GAN
from gan.runs.folder import open_log, record_settings
from gan.trainer_types import Trainer


class SettingsRecord(Callback):
    """Writes `config.yaml` and `.hydra/` when training starts: what a part refuses has been refused by then."""

    def __init__(self, cfg: DictConfig) -> None:
        self.cfg = cfg
        self._recorded = False

    def on_fit_start(self, trainer: Trainer, pl_module: GAN) -> None:
        """Refuses `cuda_graph=true` where it cannot be, before callbacks delete what a resumed run writes again."""
        pl_module.execution.hindrance(pl_module)

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
        path = Path(self.cfg.output_dir, "config.yaml")
        # The settings of a run that has ended already train nothing: it keeps the record of its own.
        if trainer.is_global_zero and not (trainer.should_stop and path.exists()):
            write_atomic(path, OmegaConf.to_yaml(self.cfg, resolve=True))
            record_settings()
        open_log()
        self._recorded = True

    def on_fit_end(self, trainer: Trainer, pl_module: GAN) -> None:
        if not self._recorded:  # a run of no epochs never starts to train
            self.on_train_start(trainer, pl_module)
