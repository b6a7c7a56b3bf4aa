"""What a check of `gan doctor` finds."""

import os
import shutil
from typing import NamedTuple


class Finding(NamedTuple):
    """What is there or missing, in one line, and the command that helps; None where nothing is missing."""

    text: str
    command: str | None = None


def installing(**packages: str) -> str:
    """The command that installs a system package, by the package manager that is here.

    Args:
        packages: the package's name by package manager: apt_get, dnf, apk, brew. Without any of them, the first.
    """
    managers = {manager.replace("_", "-"): package for manager, package in packages.items()}
    name = next(filter(shutil.which, managers), next(iter(managers)))
    root = "sudo " if name != "brew" and os.geteuid() != 0 else ""
    return f"{root}{name} {'add' if name == 'apk' else 'install'} {managers[name]}"
