"""`gan COMMAND --help [GROUP]`: examples, and a line for each key and each choice with the comment in its config."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from gan.config.compose import CONFIG_DIR
from gan.config.early_checks import groups_of
from gan.errors import UserError

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
PACKAGE = re.compile(r"# @package (\S+)")
MOST = 18  # characters of a default value
KEYS_OF = {"launcher": "hydra/launcher", "sweep": "hydra/sweeper"}  # groups whose choices name one of another group


class Key(NamedTuple):
    """A key of a command, the default as it stands in the config, and what it does."""

    name: str
    default: str
    comment: str


class Explained(NamedTuple):
    """A config as a reader of the help sees it."""

    package: str | None  # that it names
    title: str
    keys: list[Key]
    notes: list[str]  # the comments after the last key


def command_help(command: str, groups: Sequence[str] = (), own_configs: Path | None = None) -> str:
    """The help of a command, or of some of its groups of configs; UserError for a group that it does not have."""
    if groups:
        folders = [CONFIG_DIR, own_configs] if own_configs else [CONFIG_DIR]
        return "\n\n".join(group_help(command, group, folders) for group in groups)
    _, title, keys, notes = explained(CONFIG_DIR / f"{command}.yaml")
    lines = [*textwrap.wrap(title, 118), "", f"usage: gan {command} [key=value ...]", ""]
    lines += [f"  {line}" for line in EXAMPLES[command]]
    lines += ["", "keys:", *table(keys)]
    more = "--multirun makes a sweep, " if command == "train" else ""
    flags = f"gan {command} --cfg job prints every key; {more}--hydra-help lists Hydra's flags"
    if groups := groups_of(command):
        choices = {group: sorted(file.stem for file in (CONFIG_DIR / group).glob("*.yaml")) for group in groups}
        lines += ["", "configs to choose from, GROUP=NAME:"]
        lines += aligned({group: " ".join(names) for group, names in choices.items()})
        flags = f"gan {command} --help GROUP explains a group and its keys\n{flags}"
    lines += ["", *notes] if notes else []
    return "\n".join([*lines, "", flags])


def group_help(command: str, group: str, folders: Sequence[Path]) -> str:
    if group not in groups_of(command):
        raise UserError(f"--help {group}: the groups of {command} are: {', '.join(groups_of(command)) or 'none'}")
    files = [file for folder in folders for file in sorted((folder / group).glob("*.yaml"))]
    choices = {file.stem: explained(file).title for file in files}
    keys = group_keys(group)
    lines = [f"{group}=NAME:", *aligned(choices)]
    if not keys:
        return "\n".join(lines)
    other = ["", "A config may set other values, or lack a key: `--cfg job` prints what a command has."]
    return "\n".join([*lines, "", "keys:", *table(keys), *(other if len(files) > 1 else [])])


def group_keys(group: str) -> list[Key]:
    """The keys that have a comment, of all configs of a group; each key once."""
    found: dict[str, Key] = {}
    files = (file for folder in {group, KEYS_OF.get(group, group)} for file in (CONFIG_DIR / folder).rglob("*.yaml"))
    for file in sorted(files, key=lambda file: (file.parent.name != "shared", file)):
        package, _, keys, _ = explained(file)
        parts = file.relative_to(CONFIG_DIR).parent.parts
        prefix = package or ".".join(part for part in parts if part != "shared")
        for key in keys:
            name = key.name if prefix == "_global_" else f"{prefix}.{key.name}"
            if key.comment:
                found.setdefault(name, key._replace(name=name))
    return list(found.values())


def table(keys: list[Key]) -> list[str]:
    shown = (key.default if 0 < len(key.default) <= MOST else "..." for key in keys)
    return aligned({f"{key.name}={default}": key.comment for key, default in zip(keys, shown, strict=True)})


def aligned(rows: Mapping[str, str]) -> list[str]:
    """Two columns."""
    width = max(map(len, rows), default=0)
    return [f"  {name:{width}}  {text}".rstrip() for name, text in rows.items()]


def explained(file: Path) -> Explained:
    """What the comments of a config say. A key's comment stands behind it, or in the lines before it."""
    lines = file.read_text(encoding="utf-8").splitlines()
    package = PACKAGE.match(lines[0]) if lines else None
    lines = lines[1:] if package else lines
    title: list[str] = []
    while lines and lines[0].startswith("#"):
        title.append(lines.pop(0).removeprefix("#").strip())
    keys: list[Key] = []
    before: list[str] = []
    path: list[str] = []
    for line in lines:
        text = line.strip()
        if text.startswith("#"):
            before.append(text.removeprefix("#").removeprefix(" "))
        elif ":" not in text or text.startswith("- "):
            before = before if text else []
        else:
            name, _, rest = text.partition(":")
            value, _, comment = rest.partition(" # ")
            path[(len(line) - len(text)) // 2 :] = [name]
            if path[0] in ("defaults", "hydra") or name.startswith("_"):
                continue
            if value.strip() or comment:
                default = ENVIRONMENT.sub(r"\1", value.strip())
                keys.append(Key(".".join(path), default, comment.strip() or " ".join(before)))
            before = []
    return Explained(package[1] if package else None, " ".join(title), keys, before)
