"""What a user did wrong, in one line."""

from importlib.util import find_spec


class UserError(ValueError):
    """A mistake in what the user asked for: its text names the key, the value and what is allowed."""


def check_installed(what: str, extra: str, *packages: str) -> None:
    """Raises a UserError, which names the extra to install, where one of the packages that `what` needs is missing."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise UserError(f"{what} needs {' and '.join(missing)}; pip install 'mnist-gan[{extra}]'")
