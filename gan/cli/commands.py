"""The command line: `gan COMMAND [overrides]`. Heavy imports wait until a command runs."""

import importlib
import io
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import gan
from gan.stop_signals import ended_by

if TYPE_CHECKING:
    import argparse

    from omegaconf import DictConfig

COMMANDS = {
    "train": "train a GAN: experiment=quick, model=dcgan, data=mnist, ckpt_path=last",
    "sweeps": "show the results of a sweep (gan train --multirun seed=1,2): sweep_name=NAME",
    "evaluate": "measure a checkpoint: ckpt=last, 'ckpt=[a.ckpt,b.ckpt]', num_samples=10000",
    "generate": "sample digits: 'digits=[3,1,4]', seeds=0-9, num_images=64, mode=walk, format=grid|png|npy|npz|gif|idx",
    "export": "write a checkpoint's generator as a file for other programs: ckpt=last, format=onnx|safetensors",
    "doctor": "show what is installed and found here, and the command that helps where something is missing",
    "serve": "serve digits over HTTP: ckpt=last, port=8000, workers=2",
}


def usage() -> str:
    lines = ["usage: gan COMMAND [key=value ...]", "", "commands:"]
    lines += [f"  {name:10}{text}" for name, text in COMMANDS.items()]
    lines += ["", "gan COMMAND --help explains a command's keys and shows examples; gan --version prints the version"]
    lines += ['eval "$(gan -sc install=bash)" lets Tab complete commands and keys (also fish)']
    return "\n".join(lines)


def main() -> int:
    """Entry point of the console script.

    Returns:
        The exit status: 0, or 2 for an unknown command. `run` raises SystemExit for any other mistake, or an interrupt.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that lacks a character ends no command
    if len(sys.argv) < 2:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            print(usage())
            return 0
        from gan.cli.menu import choose

        chosen = choose()
        if chosen is None:
            return 0
        sys.argv = [sys.argv[0], *chosen]
    command = sys.argv[1]
    if command in ("-h", "--help"):
        print(usage())
        return 0
    if command == "--version":
        print(f"gan {gan.__version__}")
        return 0
    if command in ("-sc", "--shell-completion"):
        from gan.cli.completion import complete
        from gan.cli.mistakes import mistakes_in_one_line

        with mistakes_in_one_line(command):
            complete(sys.argv[2:])
        return 0
    if command not in COMMANDS:
        print(f"gan: {command}: no such command; there is {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    return run(command)


def run(command: str) -> int:
    """Runs a command with the overrides in `sys.argv`. A user's mistake ends it with one line."""
    from gan.cli.mistakes import mistakes_in_one_line

    with mistakes_in_one_line(command):
        from gan.config.hydra_flags import split_flags
        from gan.runs.newest import continue_newest

        if command == "train":
            sys.argv[2:] = continue_newest(sys.argv[2:])
        if command == "serve":
            from gan.serve.command import pass_over_service_links

            pass_over_service_links()
        flags, options, overrides = split_flags(sys.argv[2:])
        sys.argv[2:] = [*flags, *overrides]  # Hydra, in the other processes of a run, wants flags together
        compose_and_call(command, options)
    return 0


def compose_and_call(command: str, options: "argparse.Namespace") -> None:
    """Has Hydra compose the command's config and call the command with it, or prints the help that is asked for."""
    from gan.cli.help import command_help
    from gan.cli.hydra_run import run_hydra
    from gan.cli.mistakes import hydra_mistakes
    from gan.config.hydra_flags import flags_help

    def task(cfg: "DictConfig") -> None:
        function: Callable = getattr(importlib.import_module(f"gan.{command}.command"), command)
        function(cfg)

    if options.help or options.hydra_help:
        print(flags_help() if options.hydra_help else command_help(command, options.overrides))
        return
    stopped_by = () if command in ("train", "serve") else (signal.SIGTERM,)  # those two have their own ways to stop
    with hydra_mistakes(options.overrides), ended_by(*stopped_by):
        run_hydra(command, options, task)
