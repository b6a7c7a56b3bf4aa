"""The source distribution, as `make dist` builds it."""

import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="git knows which files are the project's")
def test_the_sdist_takes_what_git_has():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    included = pyproject["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    own = {".gitignore", "pyproject.toml"}  # hatchling adds them
    assert {name.split("/")[1] for name in included} == {path.split("/")[0] for path in tracked} - own
