"""A user's mistake becomes one line on stderr and an exit status."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gan.errors import Stopped, UserError


@contextmanager
def mistakes_in_one_line(command: str) -> Iterator[None]:
    """Ends the program with status 2 after a user's mistake, 130 after an interrupt; HYDRA_FULL_ERROR=1 prevents it."""
    is_first, traceback_wanted = True, os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises errors, and prints nothing itself
    try:
        from gan.config.environment import check_environment, is_first_of_machine  # a second, which Ctrl-C may end

        check_environment(command)
        try:
            os.getcwd()
        except FileNotFoundError as error:
            raise UserError("the folder that you are in was deleted; cd to one that exists") from error
        # Processes of one run make the same mistake. The first of each machine prints it: disks may differ. Those that
        # Lightning starts inherit HYDRA_FULL_ERROR.
        is_first = command != "train" or is_first_of_machine()
        yield
    except BaseException as error:
        if (stopped := _earlier(error, Stopped)) is not None and stopped is not error:
            raise stopped from None
        interrupted = _earlier(error, KeyboardInterrupt) is not None
        if (is_first and traceback_wanted) or not (interrupted or isinstance(error, _mistakes())):
            raise
        if is_first:
            line = "interrupted"
            if not interrupted:
                from gan.config import explain

                line = explain(error, command)
            print(f"gan {command}: {line}", file=sys.stderr)
        raise SystemExit(130 if interrupted else 2) from error


def _earlier(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    """The error of this kind that has led to another one; libraries raise their own where they are interrupted."""
    seen: set[int] = set()  # the causes of an error may lead back to it
    while error is not None and not isinstance(error, kind):
        seen.add(id(error))
        error = error.__cause__ or error.__context__
        if id(error) in seen:
            return None
    return error


def _mistakes() -> tuple[type[Exception], ...]:
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    lightning = sys.modules.get("lightning.fabric.utilities.exceptions")  # where the command has imported it
    of_lightning = (lightning.MisconfigurationException,) if lightning else ()
    return (OSError, UserError, HydraException, OmegaConfBaseException, YAMLError, *of_lightning)
