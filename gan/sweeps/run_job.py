"""One job of a sweep, in the process that a launcher chooses."""

import gc
import logging
import traceback
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from gan.config import explain
from gan.errors import Stopped, UserError
from gan.sweeps.job_records import FAILED, FINISHED, OUTCOME, PRUNED, VALIDATIONS, read_job, write_outcome
from gan.sweeps.sweep_table import write_report

REQUEUED = -1  # submitit exits with this status after it has put the job back into SLURM's queue

log = logging.getLogger("gan")


def run_job(cfg: DictConfig) -> None:
    """Trains, and records in the job's folder and in the sweep's table how it ended, unless it was interrupted."""
    hydra = HydraConfig.get()
    folder, sweep_dir = Path(hydra.runtime.output_dir), Path(hydra.sweep.dir).absolute()
    (folder / OUTCOME).unlink(missing_ok=True)
    _add_pruning(cfg, folder)
    write_outcome(folder, *_train(cfg))
    gc.collect()  # reference cycles of the trainer would keep its networks in memory
    if cfg.compile:
        import torch

        torch.compiler.reset()  # the compiler gives up after a few networks of different shapes
    job = read_job(folder)
    assert job is not None  # Hydra has written its settings
    if job.status == FAILED:
        log.error("job %s failed: %s", job.name, job.reason)
    else:
        result = f"{job.monitor} {job.score:.4g}" if job.score is not None else "not measured"
        log.info("job %s: %s", job.name, job.status if job.status == PRUNED else result)
    write_report(sweep_dir, running=True)


def _add_pruning(cfg: DictConfig, folder: Path) -> None:
    """Gives the config of a job of a search the callback that asks the search's pruner, if it has one."""
    pruner = HydraConfig.get().sweeper.get("pruner")
    if pruner is None:
        (folder / VALIDATIONS).unlink(missing_ok=True)  # of an earlier try, which had one
    else:
        callback = {
            "_target_": "gan.sweeps.pruning.Pruning",
            "directory": "${output_dir}",
            "monitor": "${callbacks.checkpoints.monitor}",
            "pruner": OmegaConf.to_container(pruner, resolve=True),
        }
        OmegaConf.update(cfg, "callbacks.pruning", callback, force_add=True)


def _train(cfg: DictConfig) -> tuple[str, str, str]:
    """Status, reason and traceback of one training run."""
    from gan.train import train

    try:
        train(cfg)
    except Stopped:
        raise
    except SystemExit as error:
        if error.code == REQUEUED:
            raise
        return FAILED, f"it ended with exit status {error.code}", traceback.format_exc()
    except UserError as error:
        return FAILED, explain(error), ""
    except Exception as error:
        return FAILED, f"{type(error).__name__}: {explain(error)}", traceback.format_exc()
    return FINISHED, "", ""
