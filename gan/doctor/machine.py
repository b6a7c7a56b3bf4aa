"""What the machine has: devices, memory, disk, and the programs that some tasks need."""

import os
import platform
import shutil
from pathlib import Path

from gan.doctor.finding import Finding, installing
from gan.memory import memory_left

LITTLE = 2**30  # bytes; a run with its checkpoints and pictures, or its tensors, may need more


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
    named = os.environ.get("CXX", "g++")
    path = shutil.which(named)
    if path:
        return Finding(f"{path}, for compile=true")
    command = installing(apt_get="g++", dnf="gcc-c++", apk="g++", brew="gcc")
    return Finding(f"{named}, for compile=true", command)


def chromium() -> Finding:
    found = [path for name in ("chromium", "chromedriver") if (path := shutil.which(name))]
    if len(found) == 2:
        return Finding(f"{', '.join(found)}, for the tests of the page")
    command = installing(
        apt_get="chromium chromium-driver",
        dnf="chromium chromedriver",
        apk="chromium chromium-chromedriver",
        brew="--cask chromium chromedriver",
    )
    return Finding("chromium and chromedriver, for the tests of the page", command)


def size(count: float) -> str:
    """Bytes in GiB."""
    return f"{count / 2**30:.1f} GiB"
