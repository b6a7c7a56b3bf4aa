"""A machine on which no program is found."""

import shutil

import pytest


@pytest.fixture
def no_programs(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
