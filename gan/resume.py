"""`gan train ckpt_path=last`: the newest run goes on in its own folder, with its own settings."""

from collections.abc import Sequence

from omegaconf import OmegaConf

from gan.checkpoint import newest_run


def continue_newest(arguments: Sequence[str]) -> list[str]:
    """The arguments of `gan train`, with those of the newest run before them where they ask for `ckpt_path=last`.

    Raises:
        UserError: there is no run to continue.
    """
    if "ckpt_path=last" not in arguments:
        return list(arguments)
    run = newest_run()
    given = [argument for argument in arguments if argument != "ckpt_path=last"]
    overridden = {_key(argument) for argument in given} | {"ckpt_path", "init_from"}
    old = [text for text in OmegaConf.load(run / ".hydra" / "overrides.yaml") if _key(text) not in overridden]
    sources = OmegaConf.load(run / ".hydra" / "hydra.yaml").hydra.runtime.config_sources
    config_dirs = [source.path for source in sources if source.provider == "command-line"]
    flags = [text for path in config_dirs for text in ("--config-dir", path)] if "--config-dir" not in given else []
    return [*flags, *old, *given, f"ckpt_path='{run}/checkpoints/last.ckpt'", f"hydra.run.dir='{run}'"]


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]
