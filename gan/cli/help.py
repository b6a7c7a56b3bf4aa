"""`gan COMMAND --help`: the command's keys with the comments of its own file, and the groups that it has."""

from omegaconf import OmegaConf

from gan.config.compose import CONFIG_DIR


def command_help(command: str) -> str:
    path = CONFIG_DIR / f"{command}.yaml"
    first, *lines = path.read_text(encoding="utf-8").splitlines()
    defaults = [entry for entry in OmegaConf.load(path).defaults if OmegaConf.is_dict(entry)]
    groups = sorted({str(name).removeprefix("override /") for entry in defaults for name in entry})
    own, keep = [], True
    for line in lines:
        if line and line[0] not in " #-":
            keep = line.partition(":")[0] not in ("defaults", "hydra")
        if keep:
            own.append(line)
    text = [
        first.removeprefix("# "),
        "",
        f"usage: gan {command} [key=value ...]",
        "",
        *"\n".join(own).strip().splitlines(),
    ]
    if groups:
        text += ["", "configs to choose from, GROUP=NAME:"]
        for group in groups:
            names = " ".join(sorted(file.stem for file in (CONFIG_DIR / group).glob("*.yaml")))
            text.append(f"  {group:10}{names}")
    return "\n".join([*text, "", f"gan {command} --cfg job prints the whole configuration"])
