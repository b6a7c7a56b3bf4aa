"""The command line: `gan COMMAND [overrides]`. Heavy imports wait until a command runs."""

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO

import gan
from gan.closed_output import outlive_reader, require_written
from gan.errors import UserError

COMMANDS = {
    "train": "train a GAN: experiment=quick, model=dcgan, data=mnist, ckpt_path=last",
    "sweeps": "show the results of a sweep (gan train --multirun seed=1,2): sweep_name=NAME",
    "evaluate": "measure a checkpoint: ckpt=last, 'ckpt=[a.ckpt,b.ckpt]', num_samples=10000",
    "generate": "sample digits: 'digits=[3,1,4]', seeds=0-9, num_images=64, mode=walk, format=grid|png|npy|npz|gif|idx",
    "export": "write a checkpoint's generator as a file for other programs: ckpt=last, format=onnx|safetensors",
    "doctor": "show what is installed and found here, and the command that helps where something is missing",
    "serve": "serve digits over HTTP: ckpt=last, port=8000, workers=2",
}

SHELLS = ("bash", "fish", "zsh")  # those that Hydra completes keys and configs for


def usage() -> str:
    lines = ["usage: gan COMMAND [key=value ...]", "", "commands:"]
    lines += [f"  {name:10}{text}" for name, text in COMMANDS.items()]
    lines += ["", "gan COMMAND --help explains a command's keys and shows examples; gan --version prints the version"]
    lines += ['eval "$(gan -sc install=bash)" lets Tab complete commands and keys (also fish, zsh)']
    return "\n".join(lines)


def main() -> int:
    """Entry point of the console script. Returns the exit status; SystemExit for a mistake, or an interrupt."""
    outlive_reader()
    if len(sys.argv) < 2:
        from gan.cli.menu import choose

        chosen = choose() if sys.stdin.isatty() and sys.stdout.isatty() else ["--help"]
        if chosen is None:
            return 0
        sys.argv = [sys.argv[0], *chosen]
    command = sys.argv[1]
    if command in ("-h", "--help", "--version"):
        print(f"gan {gan.__version__}" if command == "--version" else usage())
        require_written()
        return 0
    completes = command in ("-sc", "--shell-completion")
    if command not in COMMANDS and not completes:
        print(f"gan: {command}: no such command; there is {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    from gan.cli.mistakes import mistakes_in_one_line

    with mistakes_in_one_line(command):
        if completes:
            complete(sys.argv[2:])
        else:
            run(command)
    return 0


def run(command: str) -> None:
    """Runs a command with the overrides in `sys.argv`."""
    from gan.cli.hydra_run import run_hydra
    from gan.config.hydra_flags import split_flags
    from gan.runs.newest import continue_newest

    if command == "train":
        sys.argv[2:] = continue_newest(sys.argv[2:])
    if command == "serve":
        from gan.serve.command import pass_over_service_links

        pass_over_service_links()
    flags, options, overrides = split_flags(sys.argv[2:])
    sys.argv[2:] = [*flags, *overrides]  # Hydra, in the other processes of a run, wants flags together
    run_hydra(command, options)
    if command == "doctor" or options.help or options.hydra_help or options.cfg or options.info:
        require_written()


def complete(words: Sequence[str]) -> None:
    """Does what Hydra's `--shell-completion` does. The shell hands the line to be completed on in COMP_LINE."""
    from gan.cli.hydra_run import run_hydra
    from gan.config import CONFIG_DIR
    from gan.config.early_checks import groups_of
    from gan.config.hydra_flags import long_flags, split_flags

    action, _, shell = " ".join(words).partition("=")
    if action not in ("install", "uninstall", "query") or shell not in SHELLS:
        raise UserError(f"{' '.join(words)}: install=SHELL, uninstall=SHELL or query=SHELL, of {', '.join(SHELLS)}")
    command = "train"  # Hydra's scripts are the same for each
    if action == "query":
        _, *typed = os.environ.get("COMP_LINE", "gan").split()
        last = typed.pop() if typed and not os.environ["COMP_LINE"].endswith(" ") else ""
        if typed and typed[0] not in COMMANDS:
            return
        if not typed or last.startswith("-"):
            print(" ".join(name for name in (long_flags() if typed else COMMANDS) if name.startswith(last)))
            return
        command = typed.pop(0)
        try:
            flags, _, overrides = split_flags(typed)
        except UserError:  # it is not finished
            return
        os.environ["COMP_LINE"] = " ".join(["gan", *flags, *overrides, last])
    _, options, _ = split_flags(["--shell-completion", *words])
    if action != "query":
        run_hydra(command, options)
        return
    with redirect_stdout(StringIO()) as found:
        run_hydra(command, options)
    foreign = {path.name for path in CONFIG_DIR.iterdir() if path.is_dir()}.difference(groups_of(command))
    print(*(word for word in found.getvalue().split() if word.partition("=")[0].lstrip("+~") not in foreign))
