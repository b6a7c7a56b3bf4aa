"""The newest run, and the command line that resumes a run. Imports neither torch nor Lightning."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from gan.config.hydra_flags import split_flags
from gan.config.overrides import ckpt_path_of, key_of, replaces
from gan.config.quoting import quoted
from gan.errors import UserError
from gan.runs.arguments import OVERRIDES, run_arguments

ROOT = Path("outputs/train")
LAST, BEST = Path("checkpoints", "last.ckpt"), Path("checkpoints", "best.ckpt")


def newest_run(key: str = "ckpt") -> Path:
    """The folder of the newest training run, which has a checkpoint.

    Args:
        key: the config key that asks for it, named in error messages.

    Raises:
        UserError: there is no run with a checkpoint, or a newer run has none yet.
    """
    run, without = newest_runs()
    if run is None:
        raise UserError(f"no run with a checkpoint under {ROOT.absolute()}; `gan train` starts one")
    if without is None:
        return run
    older = f"`{resume_command(run)}` resumes" if key == "ckpt_path" else f"`{key}={quoted(str(run / LAST))}` takes"
    raise UserError(f"{key}=last: the newest run, {without}, has no checkpoint; {older} the one before, {run}")


def newest_runs() -> tuple[Path | None, Path | None]:
    """The newest run with a checkpoint, and a newer one without, if there is one.

    Raises:
        PermissionError: a folder may not be read; the newest run could be there.
    """
    runs = subfolders(ROOT)
    saved = {run: time for run in runs if (time := _modified(run / LAST)) is not None}
    started = {run: time for run in runs if (time := _modified(run / OVERRIDES)) is not None}
    run = max(saved, key=lambda folder: max(saved[folder], started.get(folder, 0)), default=None)
    since = 0 if run is None else max(saved[run], started.get(run, 0))
    newer = {folder: time for folder, time in started.items() if folder not in saved and time > since}
    without = max(newer, key=newer.__getitem__, default=None)
    return run and run.absolute(), without and without.absolute()


def subfolders(root: Path) -> list[Path]:
    """What is in a folder, nothing if there is no folder. Unlike `glob`, it raises PermissionError."""
    try:
        return list(root.absolute().iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _modified(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return None


def resume_command(run: Path) -> str:
    """The command that resumes a run with its own settings, quoted for a shell.

    It is `gan train ckpt_path=last` where that means this run.
    """
    run = run.absolute()
    saved, without = newest_runs()
    if (without or saved) == run and (run / LAST).is_file():
        return "gan train ckpt_path=last"
    settings = run_arguments(run, leave_out={"ckpt_path"})
    return shlex.join(["gan", "train", *settings, "ckpt_path=auto", f"hydra.run.dir={_plain_or_quoted(str(run))}"])


def continue_newest(arguments: Sequence[str]) -> list[str]:
    """Replaces `ckpt_path=last` by the newest run's own arguments and folder.

    The jobs of a sweep have folders of their own: they start from the newest run's last checkpoint.

    Raises:
        UserError: there is no such run, or it was not started by the command line.
    """
    flags, options, overrides = split_flags(arguments)
    given = [text for text in overrides if ckpt_path_of(text) != "last"]
    if len(given) == len(overrides):
        return list(arguments)
    run = newest_run("ckpt_path")
    if not (run / OVERRIDES).is_file():
        raise UserError(f"ckpt_path=last: {run} was not started by the command line; name its file, ckpt_path=FILE")
    own = run_arguments(run, leave_out={"ckpt_path"})
    own = [text for text in own if not any(replaces(new, text) for new in given)]
    _, own_options, before = split_flags(own)
    kept = [
        word
        for name in ("config_dir", "config_path", "config_name")
        if getattr(options, name) is None and (value := getattr(own_options, name)) is not None
        for word in (f"--{name.replace('_', '-')}", value)
    ]
    added = {key_of(text) for text in run_arguments(run) if text.startswith("+")}
    given = [f"+{text}" if not text.startswith(("+", "~")) and key_of(text) in added else text for text in given]
    if options.multirun:
        where = [f"ckpt_path={quoted(str(run / LAST))}"]
    else:
        where = ["ckpt_path=auto", f"hydra.run.dir={quoted(str(run))}"]
    return [*kept, *flags, *before, *given, *where]


def _plain_or_quoted(value: str) -> str:
    plain = all(character.isascii() and (character.isalnum() or character in "_-/.+:@") for character in value)
    return value if plain else quoted(value)
