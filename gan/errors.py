"""The error for a mistake of the user's, in one line, also for an extra that is not installed, and a run's stop."""

import os
import shlex
import sys
from importlib.util import find_spec


class UserError(ValueError):
    """A wrong value or setting of the user's. The text names the key, the value and what is allowed."""


class DivergedError(UserError):
    """A loss, a gradient or a weight is not finite. The text names it, and the batch where that can be known."""


class Stopped(SystemExit):
    """A run has stopped because of a signal, with a checkpoint. Its code is the exit status: 143, 130 or 129."""


def joined(text: object) -> str:
    """The lines of a text, or of an error's text, as one line."""
    return " ".join(str(text).split())


def one_line(error: BaseException, most: int = 300) -> str:
    """The error's text as one line of limited length; the name of its type where it has none."""
    text = joined(error) or type(error).__name__
    return text if len(text) <= most else f"{text[:most]} ..."


def check_installed(what: str, extra: str, *packages: str) -> None:
    """Raises a UserError that names the extra to install if a package that `what` needs is missing."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise UserError(f"{what} needs {' and '.join(missing)}; {pip_install(extra)}")


def pip_install(extra: str | None = None) -> str:
    """The command line that installs the package and an extra into this Python: PATH may have another `pip` first."""
    package = "mnist-gan" if extra is None else f"'mnist-gan[{extra}]'"
    python = shlex.quote(os.path.relpath(sys.executable))
    if find_spec("pip") is None:  # an environment that uv has made
        return f"uv pip install --python {python} {package}"
    return f"{python} -m pip install {package}"
