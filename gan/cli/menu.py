"""The menu of `gan` without a command: common tasks by number. Each prints the command line that does the same."""

import re
import shlex
from collections.abc import Callable
from typing import NamedTuple

POSITIVE = "0*[1-9][0-9]*"


class Task(NamedTuple):
    """A line of the menu, and the command that does the task."""

    command: str
    title: str
    arguments: Callable[[], list[str]]  # asks a few questions, and returns the command's arguments


def _published_system() -> list[str]:
    from gan.cli.help import explained
    from gan.config import CONFIG_DIR

    systems = {path.stem[-1]: explained(path).title for path in sorted(CONFIG_DIR.glob("experiment/system_?.yaml"))}
    for letter, title in systems.items():
        print(f"   {letter}  {title}")
    letter = _answer("Which system", "a", "|".join(systems), f"one of {', '.join(systems)}")
    epochs = _answer("Epochs", "as published", POSITIVE, "1 or more")
    return [f"experiment=system_{letter}", *([] if epochs == "as published" else [f"trainer.max_epochs={epochs}"])]


def _digits() -> list[str]:
    text = _answer("Digits, such as 314", "all", "[0-9]+", "0 to 9, or all")
    return ["digits=all" if text == "all" else f"digits=[{','.join(text)}]"]


def _data_set() -> list[str]:
    count = _answer("Images", "10000", POSITIVE, "1 or more")
    return [f"num_images={count}", "format=npz"]


TASKS = (
    Task("train", "Train a small model in a few minutes", lambda: ["experiment=quick"]),
    Task("train", "Train a published system", _published_system),
    Task("train", "Continue the newest training run", lambda: ["ckpt_path=last"]),
    Task("evaluate", "Measure the newest run's model", lambda: ["ckpt=last"]),
    Task("generate", "Generate digits", _digits),
    Task("generate", "Generate an animated latent walk from digit to digit", lambda: ["mode=walk"]),
    Task("generate", "Generate a data set: images and labels in one file", _data_set),
)


def choose() -> list[str] | None:
    """Asks for a task. Prints and returns `gan`'s arguments for it; None if the user left (q, Ctrl-D, Ctrl-C)."""
    print("What would you like to do?\n")
    for number, task in enumerate(TASKS, start=1):
        print(f"  {number}  {task.title}")
    print("  q  Leave\n")
    try:
        chosen = _answer("Number", "1", f"[1-{len(TASKS)}]|q", f"1 to {len(TASKS)}, or q")
        if chosen == "q":
            return None
        task = TASKS[int(chosen) - 1]
        arguments = [task.command, *task.arguments()]
    except (EOFError, KeyboardInterrupt):
        print()
        return None
    print(f"\nThe same without the menu: {shlex.join(['gan', *arguments])}\n")
    return arguments


def _answer(question: str, default: str, pattern: str, allowed: str) -> str:
    """Asks until the answer is the default, also as an empty one, or fits the pattern."""
    while True:
        text = input(f"{question} [{default}]: ").strip() or default
        if text == default or re.fullmatch(pattern, text):
            return text
        print(f"   {text!r} does not fit: {allowed}")
