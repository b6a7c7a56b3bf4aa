"""Prints what is installed and found on this machine: `gan doctor`. The checks are in machine.py and software.py."""

from collections.abc import Callable
from functools import partial

from omegaconf import DictConfig

from gan.doctor.finding import Finding
from gan.doctor.machine import chromium, compiler, devices, disk, memory, precision, system
from gan.doctor.software import EXTRAS, extra, libraries, mnist, program, runs, slurm

WIDTH = 10


def doctor(cfg: DictConfig) -> str:
    """Prints and returns a table with a line for each thing. Below what is missing is the command that helps.

    Args:
        cfg: of `conf/doctor.yaml`.
    """
    checks: dict[str, Callable[[], Finding]] = {
        "gan": program,
        "libraries": libraries,
        "system": system,
        "devices": devices,
        "precision": precision,
        "memory": memory,
        "disk": disk,
        "mnist": lambda: mnist(str(cfg.data.dir)),
        "runs": runs,
        **{name: partial(extra, name) for name in EXTRAS},
        "compiler": compiler,
        "chromium": chromium,
        "slurm": slurm,
    }
    lines, missing = [], 0
    for name, check in checks.items():
        finding = _finding(check)
        missing += finding.command is not None
        state = "ok" if finding.command is None else "missing"
        lines.append(f"{name:{WIDTH}}  {state:7}  {finding.text}")
        if finding.command is not None:
            lines.append(f"{'':{WIDTH + 11}}$ {finding.command}")
    lines.append(f"{missing} missing; each is needed for what its line says" if missing else "nothing is missing")
    text = "\n".join(lines)
    print(text)
    return text


def _finding(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Exception as error:  # a library that is broken can raise anything; the other lines are still of use
        return Finding(f"{type(error).__name__}: {' '.join(str(error).split())}", "make setup")
