"""`gan train ckpt_path=last`: the newest run goes on in its own folder, with its own settings."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from gan.checkpoint_files import newest_run
from gan.errors import UserError


def continue_newest(arguments: Sequence[str]) -> list[str]:
    """The arguments of `gan train`, with those of the newest run before them where they ask for `ckpt_path=last`.

    Raises:
        UserError: there is no run to continue.
    """
    given = [
        text for text in arguments if not (_key(text) == "ckpt_path" and text.partition("=")[2].strip("'\"") == "last")
    ]
    if len(given) == len(arguments):
        return given
    run = newest_run()
    if not (run / ".hydra" / "overrides.yaml").is_file():
        raise UserError(f"ckpt_path=last: {run} was not started by the command line; name its file, ckpt_path=FILE")
    overridden = {_key(argument) for argument in given} | {"ckpt_path", "init_from"}
    before = OmegaConf.to_container(OmegaConf.load(run / ".hydra" / "overrides.yaml"))  # any ${...} as it was written
    old = [text for text in before if _key(text) not in overridden]
    flags = config_dir_flags(run) if "--config-dir" not in given else []
    folder = str(run).replace("\\", "\\\\").replace("'", "\\'")
    return [*flags, *old, *given, f"ckpt_path='{folder}/checkpoints/last.ckpt'", f"hydra.run.dir='{folder}'"]


def config_dir_flags(run: Path) -> list[str]:
    """The `--config-dir` that a run was started with."""
    sources = OmegaConf.load(run / ".hydra" / "hydra.yaml").hydra.runtime.config_sources
    return [text for source in sources if source.provider == "command-line" for text in ("--config-dir", source.path)]


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]
