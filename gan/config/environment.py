"""Environment variables of torchrun, srun and Lightning: the place of a process among those of one run."""

import os
import re
from contextlib import suppress

from gan.config.allowed import COUNT, SIZE, Number
from gan.errors import UserError

NUMBERS = {
    **dict.fromkeys(("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "JSM_NAMESPACE_RANK"), SIZE),
    **dict.fromkeys(("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID", "SLURM_STEP_ID", "SLURM_JOB_ID"), SIZE),
    **dict.fromkeys(("SLURM_NTASKS", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS_PER_NODE", "WORLD_SIZE"), COUNT),
    "MASTER_PORT": Number(least=1, most=65535, whole=True),
}


def check_environment(command: str) -> None:
    """Raises a UserError for a variable with an impossible value. An empty one counts as not set, and is deleted."""
    of_wandb = [name for name in os.environ if name.startswith("WANDB_")] if command == "train" else []
    for name in ("OMP_NUM_THREADS", *(NUMBERS if command in ("train", "evaluate") else ()), *of_wandb):
        value = os.environ.get(name)
        if value is None:
            continue
        if not value.strip():
            del os.environ[name]
        elif name in NUMBERS:
            NUMBERS[name].require(f"environment variable {name}", _number(value))
        elif name == "OMP_NUM_THREADS" and not re.fullmatch(r"\s*0*[1-9]\d{0,3}\s*(,\s*0*[1-9]\d{0,3}\s*)*", value):
            raise UserError(f"environment variable {name}={value}: the number of threads, 1 to 9,999")


def _number(text: str) -> int | float | str:
    """The number that a text shows, or the text."""
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def whole_number(name: str, default: int) -> int:
    """The number in a variable that was checked; the default if it is not set."""
    return int(os.environ.get(name, default))


def in_slurm() -> bool:
    """Whether srun or sbatch started this process. Lightning tells an interactive shell by the name of its job."""
    return "SLURM_NTASKS" in os.environ and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive")


def is_later_rank() -> bool:
    """Whether this is one of several processes of one run, and not the first: of torchrun, Lightning or one srun."""
    if "LOCAL_RANK" in os.environ and ("NODE_RANK" in os.environ or whole_number("WORLD_SIZE", 1) > 1):
        return whole_number("RANK", whole_number("LOCAL_RANK", 0)) != 0
    return in_slurm() and whole_number("SLURM_STEP_NUM_TASKS", 1) > 1 and whole_number("SLURM_PROCID", 0) != 0


def is_first_of_machine() -> bool:
    """Whether this is the first process of its run on this machine."""
    local_rank = "LOCAL_RANK" if "LOCAL_RANK" in os.environ else "SLURM_LOCALID"
    return not is_later_rank() or whole_number(local_rank, 1) == 0
