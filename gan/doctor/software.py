"""What is installed, and what the working folder has: MNIST's files and runs."""

import os
import shlex
import shutil
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

import gan
from gan.doctor.finding import Finding
from gan.errors import pip_install
from gan.runs.newest import newest_runs, resume_command

LIBRARIES = ("torch", "torchvision", "lightning", "torchmetrics", "hydra-core", "omegaconf", "numpy")
EXTRAS = {
    "tracking": "logger=wandb and logger=tensorboard",
    "serve": "gan serve",
    "export": "gan export format=onnx",
    "sweeps": "sweep=optuna",
    "notebook": "notebooks",
}


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
    versions = {name: _version(name) for name in LIBRARIES}
    text = ", ".join(f"{name} {found or 'missing'}" for name, found in versions.items())
    return Finding(text, None if all(versions.values()) else pip_install())


def extra(name: str) -> Finding:
    """The packages of an extra, and what it is for."""
    wanted = [Requirement(text) for text in requires("mnist-gan") or []]
    packages = [each.name for each in wanted if each.marker and each.marker.evaluate({"extra": name})]
    versions = {package: _version(package) for package in packages}
    text = ", ".join(f"{package} {found}" for package, found in versions.items() if found)
    missing = ", ".join(package for package, found in versions.items() if not found)
    if missing:
        return Finding(f"{missing}, for {EXTRAS[name]}", pip_install(name))
    return Finding(f"{text}, for {EXTRAS[name]}")


def mnist(folder: str) -> Finding:
    """Whether the four files are where a run looks for them."""
    from gan.data import MNIST
    from gan.errors import UserError

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
    if _version("submitit") is None:
        return Finding("submitit, for launcher=slurm", pip_install("slurm"))
    job = os.environ.get("SLURM_JOB_ID")
    return Finding(f"{path}, for launcher=slurm" + (f"; this is job {job}" if job else ""))


def runs() -> Finding:
    """The newest run of this folder."""
    run, without = newest_runs()
    if without is not None:
        return Finding(f"the newest, {without}, has no checkpoint yet")
    return Finding("none in this folder" if run is None else f"the newest: {run}; {resume_command(run)}")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
