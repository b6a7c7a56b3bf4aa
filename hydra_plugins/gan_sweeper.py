"""Sweepers of `gan train --multirun`. Hydra looks for them in this package only, and imports it with every command."""

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class GridSweeper(Sweeper):
    """Every combination of the given values."""

    hydra_context: HydraContext
    config: DictConfig

    def __init__(self, params: dict[str, str]) -> None:
        self.params = params

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config

    def sweep(self, arguments: list[str]) -> None:
        from gan.sweeps.grid_sweep import run_grid
        from gan.sweeps.sweep import Sweep

        run_grid(Sweep(self.config, self.hydra_context, self.params, arguments))


class OptunaSweeper(GridSweeper):
    """Settings that Optuna's sampler proposes."""

    def __init__(
        self, params: dict[str, str], n_trials: int, n_jobs: int, seed: int, pruner: DictConfig | None
    ) -> None:
        super().__init__(params)
        self.n_trials, self.n_jobs, self.seed, self.pruner = n_trials, n_jobs, seed, pruner

    def sweep(self, arguments: list[str]) -> None:
        from gan.errors import check_installed

        check_installed("sweep=optuna", "sweeps", "optuna")
        from gan.sweeps.optuna_sweep import run_search
        from gan.sweeps.sweep import Sweep

        sweep = Sweep(self.config, self.hydra_context, self.params, arguments)
        run_search(sweep, self.n_trials, self.n_jobs, self.seed, self.pruner)
