"""The command line: `gan COMMAND [overrides]`. Heavy imports wait until a command runs."""

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omegaconf import DictConfig

COMMANDS = {
    "train": "train a GAN: experiment=quick, model=dcgan, data=mnist, ckpt_path=last",
    "sweeps": "what came of a sweep (gan train --multirun seed=1,2): sweep_name=NAME",
    "evaluate": "measure a checkpoint: ckpt=last, 'ckpt=[a.ckpt,b.ckpt]', num_samples=10000",
    "generate": "draw digits: 'digits=[3,1,4]', seeds=0-15, num_images=64, mode=walk, format=grid|png|npy|npz|gif|idx",
    "export": "write a checkpoint's generator for other programs: ckpt=last, format=onnx|safetensors",
    "serve": "answer HTTP requests for digits: ckpt=last, port=8000, workers=2",
}


def usage() -> str:
    lines = ["usage: gan COMMAND [key=value ...]", "", "commands:"]
    lines += [f"  {name:10}{text}" for name, text in COMMANDS.items()]
    lines += ["", "gan COMMAND --help lists a command's configs, gan COMMAND --cfg job prints its whole configuration"]
    return "\n".join(lines)


def main() -> int:
    """Entry point of the console script.

    Returns:
        0, 1 for a run that failed, 2 for a mistake of the user's, 130 for a run that was interrupted.
    """
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
    if command not in COMMANDS:
        print(f"gan: {command}: no such command; there is {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    return run(command)


def lightning_mistakes() -> list[type[Exception]]:
    """Lightning's own exception for a wrong setting, if the command has imported Lightning."""
    module = sys.modules.get("lightning.fabric.utilities.exceptions")
    return [module.MisconfigurationException] if module else []


def _names_no_config(override: str) -> bool:
    from omegaconf import ListConfig, OmegaConf

    from gan.config import CONFIG_DIR

    key = override.partition("=")[0]
    return (CONFIG_DIR / key).is_dir() and not isinstance(OmegaConf.from_dotlist([override])[key], str | ListConfig)


def run(command: str) -> int:
    """Composes the command's config from `sys.argv` and calls its function with it; a mistake is told in one line."""
    # The first process of a run tells its mistakes for all.
    is_child = any(os.environ.get(name, "0") != "0" for name in ("LOCAL_RANK", "SLURM_PROCID"))
    traceback_wanted = "HYDRA_FULL_ERROR" in os.environ and not is_child
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then hands errors on
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from gan.config import CONFIG_DIR, explain
    from gan.errors import UserError

    @contextmanager
    def mistakes_told() -> Iterator[None]:
        try:
            yield
        except (UserError, HydraException, OmegaConfBaseException, *lightning_mistakes()) as error:
            if traceback_wanted:
                raise
            composed = isinstance(error, HydraException | OmegaConfBaseException)
            if not is_child:
                print(f"gan {command}: {explain(error) if composed else ' '.join(str(error).split())}", file=sys.stderr)
            raise SystemExit(2) from error
        except KeyboardInterrupt as error:
            if traceback_wanted:
                raise
            if not is_child:
                print(f"gan {command}: interrupted", file=sys.stderr)
            raise SystemExit(130) from error

    started = False

    def task(cfg: "DictConfig") -> object:
        nonlocal started
        started = True
        sys.argv = arguments  # Lightning starts the other processes of a run with this line again
        function: Callable = getattr(importlib.import_module(f"gan.{command}.command"), command)
        with mistakes_told():  # inside the job, where Hydra would add lines of its own
            return function(cfg)

    with mistakes_told():
        if command == "train":
            from gan.train.resume import continue_newest

            sys.argv[2:] = continue_newest(sys.argv[2:])
        arguments = sys.argv
        sys.argv = [arguments[0], *arguments[2:]]
        try:
            hydra.main(config_path=str(CONFIG_DIR), config_name=command, version_base="1.3")(task)()
        except OSError as error:
            if started or isinstance(error, HydraException):  # a missing config is an OSError as well
                raise
            reason = f"{error.filename}: {error.strerror}"
            raise UserError(f"{reason}; a run needs a folder, hydra.run.dir=FOLDER names another one") from error
        except ValueError as error:
            if not str(error).startswith("Config group override must be"):
                raise
            wrong = " ".join(text for text in arguments[2:] if _names_no_config(text))
            raise UserError(f"{wrong}: a group of configs takes one of their names, or a list of them") from error
    return 0
