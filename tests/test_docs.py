"""The README and docs/: every command block runs, and every key, file and link that a page names exists.

A block that cannot be run here stands under a comment with the reason: `<!-- not run: needs a cluster -->`. Its
commands and their keys must exist all the same. `documented.py` has the settings that make the others short.
"""

import ast
import importlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import tomllib
from pathlib import Path
from typing import NamedTuple

import documented
import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from gan.cli.commands import COMMANDS
from gan.config import CONFIG_DIR
from gan.config.trainer_flags import FLAGS

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^(?:<!-- not run: (?P<reason>.+?) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
SETTING = re.compile(r"^(?:\+\+|[+~])?(?P<key>[a-z_]\w*(?:[./]\w+)*)=(?P<value>.*)$", re.S)
GROUPS = {path.name for path in CONFIG_DIR.iterdir() if path.is_dir()} - {"shared", "hydra"}
ENDINGS = (".py", ".md", ".json", ".csv", ".ckpt")
PLACEHOLDER = re.compile(r"\b(COMMAND|GROUP|NAME|FLAG|KEY|FILE|DIR|URL)\b")
# Below these keys there may be any: options of sbatch, arguments of a schedule or of a pruner.
SCHEDULES = {"model.generator_schedule", "model.discriminator_schedule"}
ANYTHING = {"hydra.launcher.sbatch", "hydra.sweeper.pruner", "pruner", *SCHEDULES}
README_LINES = 200


class Block(NamedTuple):
    language: str
    text: str
    line: int
    reason: str | None


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page):
    text = read(page)
    return [
        Block(each["language"], each["text"], text.count("\n", 0, each.start("text")) + 1, each["reason"])
        for each in BLOCK.finditer(text)
    ]


def commands(block):
    """The words of each command of a block, without its variables and what follows a pipe."""
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words = words[1:]
        if words:
            yield words


def file_of(block):
    """The file that a block shows: a comment with nothing but a path, at its start or below its `# @package` line."""
    found = re.match(r"(?:# @package \w+\n)?# ([\w/.-]+\.(?:py|yaml))\n", block.text)
    return found and found[1]


def keys_of_configs():
    """Every key of every command's config, whatever is chosen in its groups."""

    def keys(node, prefix=""):
        for name, value in node.items():
            yield f"{prefix}{name}"
            if isinstance(value, dict):
                yield from keys(value, f"{prefix}{name}.")

    chosen = [["logger=[csv,tensorboard,wandb]"], ["hardware=multi_node", "launcher=parallel"], ["hardware=gpu"]]
    chosen += [[f"model={path.stem}"] for path in (CONFIG_DIR / "model").glob("*.yaml")]
    chosen += [[f"data={path.stem}"] for path in (CONFIG_DIR / "data").glob("*.yaml")]
    chosen += [["loss=bce_smoothed"], ["loss=hinge"], ["sweep=optuna"], ["launcher=slurm"]]
    composed = [(name, []) for name in COMMANDS] + [("train", each) for each in chosen]
    found = {f"trainer.{flag}" for flag in FLAGS}
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        for name, overrides in composed:
            if (CONFIG_DIR / f"{name}.yaml").is_file():
                cfg = compose(name, ["hydra.runtime.output_dir=.", *overrides], return_hydra_config=True)
                found.update(keys(OmegaConf.to_container(cfg)))
    return found


@pytest.fixture(scope="session")
def known(shared):
    """Those keys and the groups, found once for all workers."""
    path = shared("known_keys.json", lambda path: path.write_text(json.dumps(sorted(keys_of_configs() | GROUPS))))
    return frozenset(json.loads(path.read_text()))


def is_known(key, known):
    key = key.replace("hydra/", "hydra.")
    parents = [key.rsplit(".", count)[0] for count in range(1, key.count(".") + 1)]
    return key in known or not ANYTHING.isdisjoint(parents)


def check_command(words, page, known):
    """Raises an AssertionError unless the command, its options and its keys exist."""
    name, *rest = words
    if name == "gan":
        assert not rest or rest[0] in COMMANDS or rest[0].startswith("-"), words
    if name == "make":
        assert re.search(rf"^{rest[0]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M), words
    if name == "pip":
        text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        extras = tomllib.loads(text)["project"]["optional-dependencies"]
        assert {extra for text in re.findall(r"\[([\w,]+)\]", words[-1]) for extra in text.split(",")} <= set(extras)
    if name == "python" and rest[0].startswith("bench/"):
        source = (ROOT / rest[0]).read_text(encoding="utf-8")
        assert all(f'"{word}"' in source for word in rest if word.startswith("--")), words
    if name in ("gan", "python", "srun", "sbatch", "torchrun"):
        for word in rest:
            adds_a_part = word.startswith("+") and "={_target_:" in word
            if (setting := SETTING.match(word)) and not word.startswith("-") and not adds_a_part:
                assert is_known(setting["key"], known), f"{page}: {word}: no such key"
    for word in words:
        if re.match(r"(deploy|bench|conf|gan)/[\w./]+$", word):
            assert (ROOT / word).exists(), words


@pytest.fixture(scope="session")
def followed(shared, python):
    """The folder in which every page can be followed; each page gets a copy."""

    def fill(folder):
        folder.mkdir()
        script = f"import documented; documented.prepare(__import__('pathlib').Path({str(folder)!r}))"
        paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests" / "data")))
        subprocess.run([python, "-c", script], check=True, cwd=folder, env={**os.environ, "PYTHONPATH": paths})

    return shared("followed", fill)


@pytest.mark.pages
@pytest.mark.process
@pytest.mark.parametrize("page", PAGES)
def test_every_command_block_runs(page, followed, python, tmp_path, monkeypatch):
    folder, programs = tmp_path / "page", tmp_path / "programs"
    shutil.copytree(followed, folder)
    documented.shims(programs, python, shutil.which("curl"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("GAN_TEST_PORT", str(free.getsockname()[1]))
    monkeypatch.setenv("GAN_TEST_SERVICE", str(tmp_path / "service.pid"))
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    script = ["set -euo pipefail"]
    for number, block in enumerate(blocks(page)):
        if block.reason is not None or block.language not in ("bash", "python", "yaml"):
            continue
        path = file_of(block)
        if block.language == "bash":
            script += [f"echo '--- {page}, line {block.line}' >&2", block.text]
        elif path or block.language == "python":
            written = folder / (path or f"block_{number}.py")
            written.parent.mkdir(parents=True, exist_ok=True)
            text = block.text.replace("localhost:8000", f"localhost:{os.environ['GAN_TEST_PORT']}")
            written.write_text(text, encoding="utf-8")
            script += [] if path else [f"echo '--- {page}, line {block.line}' >&2", f"python {written}"]
    try:
        done = subprocess.run(
            ["bash", "-c", "\n".join(script)], cwd=folder, capture_output=True, text=True, encoding="utf-8", timeout=600
        )
    finally:
        documented.stop_service()
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_every_key_exists(page, known):
    for block in blocks(page):
        if block.language == "bash":
            for words in commands(block):
                check_command(words, page, known)
        elif block.language == "python":
            ast.parse(block.text)
        elif block.language == "yaml":
            yaml.safe_load(block.text)
    for span in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", BLOCK.sub("", read(page))):
        if re.match(r"[\w.]+\(", span) or PLACEHOLDER.search(span.partition("=")[0]):
            continue
        words = span.strip("'").split()
        if words and words[0] == "gan":
            check_command(words, page, known)
        for word in words:
            setting = SETTING.match(word.strip("'\""))
            if setting:
                assert is_known(setting["key"], known), f"{page}: `{span}`: no such key"
        dotted = re.fullmatch(r"(?:data|model|trainer|callbacks|metrics|wandb|hydra)(?:\.[a-z_0-9]+)+", span)
        if dotted and not span.endswith(ENDINGS):
            assert is_known(span, known), f"{page}: `{span}`: no such key"


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_exists(page):
    text = BLOCK.sub("", read(page))
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        assert "://" in target or (ROOT / page).parent.joinpath(target).exists(), f"{page}: dead link {target}"
    for path in re.findall(r"`((?:gan|conf|deploy|bench|tests|notebooks|docs)/[\w./-]+)`", text):
        assert PLACEHOLDER.search(path) or (ROOT / path).exists(), f"{page}: there is no {path}"


def test_the_readme_links_to_headings_that_exist():
    def anchors(page):
        titles = re.findall(r"^#+ (.+)$", BLOCK.sub("", read(page)), re.M)
        return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}

    for page, anchor in re.findall(r"\]\(([\w/.]*)#([\w-]+)\)", read("README.md")):
        assert anchor in anchors(page or "README.md"), f"{page}#{anchor}"


def test_the_readme_is_short():
    assert len(read("README.md").splitlines()) <= README_LINES


def test_every_page_is_in_the_site():
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert all(page.removeprefix("docs/") in site for page in PAGES[1:])


def test_what_the_api_page_shows_is_imported_from_its_package():
    names = [name for name in re.findall(r"^::: gan\.([\w.]+)$", read("docs/api.md"), re.M) if "." in name]
    for folder, *_, name in (each.split(".") for each in names):
        assert hasattr(importlib.import_module(f"gan.{folder}"), name), name


def test_the_architecture_names_every_module_and_folder():
    names = {path.name + "/" * path.is_dir() for path in (ROOT / "gan").glob("[!_]*") if path.suffix in (".py", "")}
    assert {name for name in names if f"`gan/{name}`" not in read("docs/architecture.md")} == set()
