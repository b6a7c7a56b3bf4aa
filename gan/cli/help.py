"""`gan COMMAND --help`: examples, a line for each key with the comment of the command's config, and its groups."""

import re
import textwrap
from typing import NamedTuple

from omegaconf import OmegaConf

from gan.config.compose import CONFIG_DIR

EXAMPLES = {
    "train": (
        "gan train experiment=quick",
        "gan train model=dcgan_compact data.batch_size=64 loss=hinge 'logger=[csv,tensorboard]'",
        "gan train ckpt_path=last max_images=200000",
    ),
    "sweeps": ("gan sweeps", "gan sweeps sweep_name=lr", "gan sweeps sweep_name=outputs/train"),
    "evaluate": (
        "gan evaluate ckpt=last",
        "gan evaluate 'ckpt=[a.ckpt,b.ckpt]' repeats=3",
        "gan evaluate ckpt=best split=val num_samples=5000",
    ),
    "generate": (
        "gan generate 'digits=[3,1,4]' output=pi.png",
        "gan generate mode=walk 'digits=[3,8]' output=walk.gif",
        "gan generate ckpt=last num_images=60000 digits=all format=npz output=data.npz",
    ),
    "export": (
        "gan export ckpt=last output=digits.onnx",
        "gan export ckpt=best format=safetensors dtype=float16",
        "gan export ckpt=last output=digits.onnx license=mit overwrite=true",
    ),
    "doctor": ("gan doctor", "gan doctor data.dir=/data/mnist", "gan doctor > doctor.txt"),
    "serve": (
        "gan serve ckpt=last",
        "gan serve ckpt=best port=9000 workers=2",
        "gan serve host=0.0.0.0 api_keys_file=keys.txt rate_limit=60/minute",
    ),
}
ENVIRONMENT = re.compile(r"\$\{oc\.env:\w+,(.*)\}")
MOST = 18  # characters of a default value


class Key(NamedTuple):
    """A key of a command, the default as it stands in the config, and what it does."""

    name: str
    default: str
    comment: str


class Explained(NamedTuple):
    """A command's config as a reader of the help sees it."""

    title: str
    keys: list[Key]
    notes: list[str]  # the comments after the last key


def command_help(command: str) -> str:
    title, keys, notes = explained(command)
    shown = {key: f"{key.name}={key.default if len(key.default) <= MOST else '...'}" for key in keys}
    width = max(map(len, shown.values()), default=0)
    lines = [
        *textwrap.wrap(title, 118),
        "",
        f"usage: gan {command} [key=value ...]",
        "",
        *(f"  {line}" for line in EXAMPLES[command]),
    ]
    lines += ["", "keys:", *(f"  {shown[key]:{width}}  {key.comment}".rstrip() for key in keys)]
    if groups := groups_of(command):
        lines += ["", "configs to choose from, GROUP=NAME:"]
        for group in groups:
            names = " ".join(sorted(file.stem for file in (CONFIG_DIR / group).glob("*.yaml")))
            lines.append(f"  {group:11}{names}")
    lines += ["", *notes] if notes else []
    more = "--multirun makes a sweep, " if command == "train" else ""
    return "\n".join([*lines, "", f"gan {command} --cfg job prints every key; {more}--hydra-help lists Hydra's flags"])


def groups_of(command: str) -> list[str]:
    """The config groups that a command chooses from."""
    defaults = OmegaConf.load(CONFIG_DIR / f"{command}.yaml").defaults
    named = {str(name).removeprefix("override /") for entry in defaults if OmegaConf.is_dict(entry) for name in entry}
    return sorted(named)


def explained(command: str) -> Explained:
    """The title, the keys and the notes in the comments of a command's config.

    A key's comment stands behind it, or in the lines before it.
    """
    lines = (CONFIG_DIR / f"{command}.yaml").read_text(encoding="utf-8").splitlines()
    title: list[str] = []
    while lines[0].startswith("#"):
        title.append(lines.pop(0).removeprefix("#").strip())
    keys: list[Key] = []
    before: list[str] = []
    parent = ""
    for line in lines:
        text = line.strip()
        if text.startswith("#"):
            before.append(text.removeprefix("#").removeprefix(" "))
        elif ":" not in text or text.startswith("- "):
            before = before if text else []
        else:
            name, _, rest = text.partition(":")
            value, _, comment = rest.partition(" # ")
            parent = parent if line.startswith(" ") else name
            if parent in ("defaults", "hydra"):
                continue
            if value.strip():
                default = ENVIRONMENT.sub(r"\1", value.strip())
                full = f"{parent}.{name}" if line.startswith(" ") else name
                keys.append(Key(full, default, comment.strip() or " ".join(before)))
            before = []
    return Explained(" ".join(title), keys, before)
