"""`gan doctor`: what the machine has, what is installed, and what the working folder has."""

import os
import platform
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig
from packaging.requirements import Requirement

import gan
from gan.config.bounds import require
from gan.errors import UserError, one_line, pip_install
from gan.memory import memory_left
from gan.runs.newest import newest_runs, resume_command

LIBRARIES = ("torch", "torchvision", "lightning", "torchmetrics", "hydra-core", "omegaconf", "numpy")
EXTRAS = {
    "tracking": "logger=wandb and logger=tensorboard",
    "serve": "gan serve",
    "export": "gan export format=onnx",
    "sweeps": "sweep=optuna",
    "notebook": "notebooks",
}
LITTLE = 2**30  # bytes; a run with its checkpoints and pictures, or its tensors, may need more


class Finding(NamedTuple):
    """What is there or missing, in one line, and the command that helps; None where nothing is missing."""

    text: str
    command: str | None = None


def doctor(cfg: DictConfig) -> str:
    """Prints and returns a table with a line for each thing. Below what is missing is the command that helps."""
    require("data.dir", cfg.data.dir)
    by_name: dict[str, Callable[[], Finding]] = {
        "gan": program,
        "libraries": libraries,
        "system": system,
        "devices": devices,
        "precision": precision,
        "memory": memory,
        "disk": disk,
        "mnist": partial(mnist, str(cfg.data.dir)),
        "runs": runs,
        **{name: partial(extra, name) for name in EXTRAS},
        "compiler": compiler,
        "chromium": chromium,
        "slurm": slurm,
    }
    lines, missing = [], 0
    for name, check in by_name.items():
        try:
            text, command = check()
        except Exception as error:  # a library that is broken can raise anything; the other lines are still of use
            text, command = f"{type(error).__name__}: {one_line(error)}", "make setup"
        lines.append(f"{name:10}  {'ok' if command is None else 'missing':7}  {text}")
        if command is not None:
            missing += 1
            lines.append(f"{'':21}$ {command}")
    lines.append(f"{missing} missing; each is needed for what its line says" if missing else "nothing is missing")
    text = "\n".join(lines)
    print(text)
    return text


def system() -> Finding:
    from joblib import cpu_count

    cores = f"{cpu_count()} of {os.cpu_count()} cores"
    return Finding(f"{platform.platform()}, {platform.machine()}, {cores}, Python {platform.python_version()}")


def devices() -> Finding:
    import torch

    from gan.hardware import device_name
    from gan.threads import settle_threads

    settle_threads()
    names = [device_name(torch.device("cpu"))]
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        names.append(f"{device_name(torch.device('cuda', index))}, {size(free)} of {size(total)} free")
    if torch.backends.mps.is_available():
        names.append("mps")
    if shutil.which("nvidia-smi") and not torch.cuda.is_available():
        return Finding(f"{', '.join(names)}; torch does not find the NVIDIA card", "nvidia-smi")
    return Finding(", ".join(names))


def precision() -> Finding:
    """What `trainer.precision=auto` becomes, by the same code as in a run."""
    from gan.config import compose, instantiate
    from gan.hardware import settle_hardware, settle_precision

    chosen = []
    for overrides in ([], ["experiment=quick"]):
        cfg = compose("train", overrides)
        settle_hardware(cfg.trainer)
        settle_precision(cfg.trainer, instantiate(cfg.model), cfg.data.batch_size)
        chosen.append(f"{' '.join(['gan train', *overrides])}: {cfg.trainer.precision} on {cfg.trainer.accelerator}")
    return Finding("; ".join(chosen))


def memory() -> Finding:
    left = memory_left()
    command = "ps -A -o rss,comm | sort -rn | head" if left < LITTLE else None
    return Finding(f"{size(left)} left", command)


def disk() -> Finding:
    folder = Path.cwd()
    left = shutil.disk_usage(folder).free
    command = "du -sh outputs/*/* | sort -h" if left < LITTLE else None
    return Finding(f"{size(left)} left in {folder}", command)


def compiler() -> Finding:
    packages = {"apt-get": "g++", "dnf": "gcc-c++", "apk": "g++", "brew": "gcc"}
    return _programs([os.environ.get("CXX", "g++")], "compile=true", packages)


def chromium() -> Finding:
    packages = {
        "apt-get": "chromium chromium-driver",
        "dnf": "chromium chromedriver",
        "apk": "chromium chromium-chromedriver",
        "brew": "--cask chromium chromedriver",
    }
    return _programs(["chromium", "chromedriver"], "the tests of the page", packages)


def _programs(names: Sequence[str], use: str, packages: Mapping[str, str]) -> Finding:
    """Programs, or the command that installs them: `packages` by package manager, the first one where none is here."""
    found = [path for name in names if (path := shutil.which(name))]
    if len(found) == len(names):
        return Finding(f"{', '.join(found)}, for {use}")
    manager = next(filter(shutil.which, packages), next(iter(packages)))
    root = "sudo " if manager != "brew" and os.geteuid() != 0 else ""
    install = f"{root}{manager} {'add' if manager == 'apk' else 'install'} {packages[manager]}"
    return Finding(f"{' and '.join(names)}, for {use}", install)


def size(count: float) -> str:
    """Bytes in GiB."""
    return f"{count / 2**30:.1f} GiB"


def program() -> Finding:
    """The version, and whether a shell finds `gan`."""
    text = f"{gan.__version__}, {Path(gan.__file__).parent}"
    scripts = Path(sys.executable).parent
    if shutil.which("gan"):
        return Finding(text)
    activate = scripts / "activate"
    path = f"source {shlex.quote(str(activate))}" if activate.is_file() else f'export PATH="{scripts}:$PATH"'
    return Finding(f"{text}; a shell does not find gan", path)


def libraries() -> Finding:
    """Versions of the main libraries. They are imported by other checks."""
    return _installed(LIBRARIES, "every command", pip_install())


def extra(name: str) -> Finding:
    """The packages of an extra, and what it is for."""
    wanted = [Requirement(text) for text in requires("mnist-gan") or []]
    packages = [each.name for each in wanted if each.marker and each.marker.evaluate({"extra": name})]
    return _installed(packages, EXTRAS[name], pip_install(name))


def _installed(packages: Sequence[str], use: str, install: str) -> Finding:
    """The versions of packages, or those that are missing."""
    found, missing = [], []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    return Finding(f"{', '.join(missing or found)}, for {use}", install if missing else None)


def mnist(folder: str) -> Finding:
    """Whether the four files are where a run looks for them."""
    from gan.data import MNIST

    source = MNIST()
    source.dir, source.download = Path(folder), False
    try:
        source.prepare()
    except UserError:
        there = Path(folder).absolute()
        if folder != "data" and not there.is_dir():
            return Finding(f"there is no folder {there}", f"mkdir -p {shlex.quote(str(there))}")
        where = [] if folder == "data" else [f"data.dir={folder}"]
        return Finding(f"not in {there}; this downloads it:", shlex.join(["gan", "train", "experiment=debug", *where]))
    return Finding(f"in {Path(folder).absolute()}")


def slurm() -> Finding:
    """SLURM's own program, then the package that talks to it."""
    path = shutil.which("sbatch")
    if path is None:
        return Finding("sbatch, for launcher=slurm; on one machine:", "gan train --multirun launcher=parallel seed=0,1")
    submitit = _installed(["submitit"], "launcher=slurm", pip_install("slurm"))
    if submitit.command:
        return submitit
    job = os.environ.get("SLURM_JOB_ID")
    return Finding(f"{path}, for launcher=slurm" + (f"; this is job {job}" if job else ""))


def runs() -> Finding:
    """The newest run of this folder."""
    run, without = newest_runs()
    if without is not None:
        return Finding(f"the newest, {without}, has no checkpoint yet")
    return Finding("none in this folder" if run is None else f"the newest: {run}; {resume_command(run)}")
