"""The files around the code agree with it."""

import os
import re
import runpy
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import gan

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["version"] == gan.__version__
    assert f"## [{gan.__version__}] - {citation['date-released']}" in read("CHANGELOG.md")
    assert PROJECT["dynamic"] == ["version"]
    assert citation["license"] == PROJECT["license"]


def test_actions_are_pinned_by_their_commit():
    uses = re.findall(r"uses: (\S+)", read(".github/workflows/ci.yaml"))
    assert uses
    assert [each for each in uses if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", each)] == []


def test_ci_runs_each_python_that_is_promised():
    matrix = yaml.safe_load(read(".github/workflows/ci.yaml"))["jobs"]["test"]["strategy"]["matrix"]["python"]
    promised = [text.rpartition(" ")[2] for text in PROJECT["classifiers"] if "Python :: 3" in text]
    assert matrix == promised
    assert PROJECT["requires-python"] == f">={matrix[0]}"


def test_hooks_are_tools_of_the_tested_versions():
    hooks = [hook for repo in yaml.safe_load(read(".pre-commit-config.yaml"))["repos"] for hook in repo["hooks"]]
    tools = {hook["entry"].split()[0].removeprefix(".venv/bin/") for hook in hooks}
    tested = {line.partition("==")[0] for line in read("constraints.txt").splitlines()}
    assert tools <= tested


def test_every_direct_dependency_has_a_tested_version():
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    wanted = {Requirement(text).name for group in groups for text in group} - {"mnist-gan"}
    lines = read("constraints.txt").splitlines()
    assert lines == sorted(lines)
    assert wanted - {line.partition("==")[0] for line in lines} == set()


def test_an_issue_asks_for_the_output_of_doctor():
    body = yaml.safe_load(read(".github/ISSUE_TEMPLATE/bug.yaml"))["body"]
    (doctor,) = (field for field in body if field["id"] == "doctor")
    assert "gan doctor" in doctor["attributes"]["label"]
    assert doctor["validations"]["required"]


def test_every_task_of_make_that_is_named_exists():
    tasks = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    texts = [read(name) for name in ("CONTRIBUTING.md", ".ci/run", ".github/workflows/ci.yaml", "SECURITY.md")]
    named = {task for text in texts for task in re.findall(r"(?:^|`|run: )make ([a-z-]+)", text, re.MULTILINE)}
    assert {"lint", "test", "dist", "coverage"} <= named <= tasks


@pytest.mark.parametrize("path", sorted((ROOT / "bench").glob("*.py")), ids=lambda path: path.name)
def test_every_benchmark_finds_what_it_imports(path, monkeypatch):
    monkeypatch.syspath_prepend(path.parent)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    runpy.run_path(str(path), run_name=path.stem)
