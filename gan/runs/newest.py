"""The newest run, and the command line that resumes a run. Imports neither torch nor Lightning."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from gan.config.hydra_flags import split_flags
from gan.config.overrides import ckpt_path_of, key_of, path_text, quoted, replaces
from gan.errors import UserError
from gan.runs.records import OVERRIDES, run_arguments

ROOT = Path("outputs/train")
SETTINGS_OF_CHOICES = {"logger": "wandb.", "loss": "model.loss."}
LAST, BEST = Path("checkpoints", "last.ckpt"), Path("checkpoints", "best.ckpt")


def newest_run(key: str = "ckpt") -> Path:
    """The folder of the newest training run, which has a checkpoint; `key` is the config key that asks for it.

    Raises:
        UserError: there is no run with a checkpoint, or a newer run has none yet.
    """
    run, without = newest_runs()
    if run is None:
        raise UserError(f"no run with a checkpoint under {ROOT.absolute()}; `gan train` starts one")
    if without is None:
        return run
    taken = shlex.quote(f"{key}={path_text(run / LAST)}")
    older = f"`{resume_command(run)}` resumes" if key == "ckpt_path" else f"`{taken}` takes"
    raise UserError(f"{key}=last: the newest run, {without}, has no checkpoint; {older} the one before, {run}")


def newest_runs() -> tuple[Path | None, Path | None]:
    """The newest run with a checkpoint, and a newer one without, if there is one.

    Raises:
        PermissionError: a folder may not be read; the newest run could be there.
    """
    runs = subfolders(ROOT)
    saved = {run: time for run in runs if (time := _modified(run / LAST)) is not None}
    started = {run: time for run in runs if (time := _modified(run / OVERRIDES)) is not None}
    times = started | {run: max(time, started.get(run, 0)) for run, time in saved.items()}
    run = max(saved, key=times.__getitem__, default=None)
    newest = max([*saved, *started], key=times.__getitem__, default=None)
    without = newest if newest != run else None
    return run, without


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
    """The command that resumes a run with its settings, for a shell: `gan train ckpt_path=last` where that does it."""
    run = run.absolute()
    saved, without = newest_runs()
    if (without or saved) == run and (run / LAST).is_file():
        return "gan train ckpt_path=last"
    settings = run_arguments(run, leave_out={"ckpt_path"})
    return shlex.join(["gan", "train", *settings, "ckpt_path=auto", f"hydra.run.dir={path_text(run)}"])


def _ends(new: str, old: str) -> bool:
    """Whether a new choice of a group leaves an old override of its settings without a meaning."""
    belongs = any(key_of(new) == group and key_of(old).startswith(keys) for group, keys in SETTINGS_OF_CHOICES.items())
    return belongs and not (key_of(new) == "logger" and "wandb" in new)


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
    folders = [] if options.multirun else [text for text in given if key_of(text) == "hydra.run.dir"]
    for text in folders:
        if Path(text.partition("=")[2].strip("'\"")).absolute() != run:
            file = path_text(run / LAST)
            hint = f"`gan train ckpt_path={file}`, with the run's settings, continues it in another one"
            raise UserError(f"{text}: ckpt_path=last resumes in the run's own folder; {hint}")
    own = run_arguments(run, leave_out={"ckpt_path"})
    added = {key_of(text) for text in own if text.startswith("+")}
    own = [text for text in own if not any(replaces(new, text) or _ends(new, text) for new in given)]
    given = [f"++{text}" if not text.startswith(("+", "~")) and key_of(text) in added else text for text in given]
    if options.multirun:
        where = [f"ckpt_path={quoted(str(run / LAST))}"]
    else:
        where = ["ckpt_path=auto", f"hydra.run.dir={quoted(str(run))}"]
    return [*own, *flags, *given, *where]  # of a flag that is given twice the last value counts
