"""Completion of a command line in a shell: `eval "$(gan -sc install=bash)"`.

Hydra completes keys and configs of a program without commands. This completes the command first, and hands the rest on.
"""

import os
from collections.abc import Sequence

from gan.errors import UserError

SHELLS = ("bash", "fish", "zsh")


def complete(words: Sequence[str]) -> None:
    """Does what Hydra's `--shell-completion` does: `install=SHELL`, `uninstall=SHELL` or `query=SHELL`.

    The shell hands the line to be completed on in COMP_LINE.

    Raises:
        UserError: another word.
    """
    from gan.cli.commands import COMMANDS, compose_and_call
    from gan.config.hydra_flags import long_flags, split_flags

    action, _, shell = words[0].partition("=") if len(words) == 1 else ("", "", "")
    if action not in ("install", "uninstall", "query") or shell not in SHELLS:
        raise UserError(f"{' '.join(words)}: install=SHELL, uninstall=SHELL or query=SHELL, of {', '.join(SHELLS)}")
    command = "train"  # Hydra's scripts are the same for each
    if action == "query":
        _, *typed = os.environ.get("COMP_LINE", "gan").split()
        last = typed.pop() if typed and not os.environ["COMP_LINE"].endswith(" ") else ""
        if not typed:
            print(" ".join(name for name in COMMANDS if name.startswith(last)))
            return
        command = typed.pop(0)
        if command not in COMMANDS:
            return
        if last.startswith("-"):
            print(" ".join(name for name in long_flags() if name.startswith(last)))
            return
        try:
            flags, _, overrides = split_flags(typed)
        except UserError:  # it is not finished
            return
        os.environ["COMP_LINE"] = " ".join(["gan", *flags, *overrides, last])
    _, options, _ = split_flags(["--shell-completion", *words])
    compose_and_call(command, options)
