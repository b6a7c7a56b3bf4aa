"""The command that installs a system package."""

import shutil

import pytest

from gan.doctor.finding import installing

NAMES = {"apt_get": "g++", "apk": "g++", "brew": "gcc"}


@pytest.mark.parametrize(
    ("here", "user", "command"),
    [
        ("apk", 1000, "sudo apk add g++"),
        ("apk", 0, "apk add g++"),
        ("brew", 1000, "brew install gcc"),
        (None, 1000, "sudo apt-get install g++"),
    ],
)
def test_the_package_manager_that_is_here_installs(monkeypatch, here, user, command):
    monkeypatch.setattr("os.geteuid", lambda: user)
    monkeypatch.setattr(shutil, "which", lambda name: name if name == here else None)
    assert installing(**NAMES) == command
