"""Files that appear whole or not at all."""

import os
from pathlib import Path

import pytest

from gan.atomic_write import atomic_file, atomic_files, hindrance_to_writing, write_atomic


def test_a_file_appears_when_everything_is_in_it(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_file(path) as first, atomic_file(path) as second:
        first.write(b"1")
        second.write(b"2")
        assert path.read_text() == "old"
    assert path.read_text() == "1"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(TypeError), atomic_file(path) as file:
        file.writelines([b"new", "not bytes"])
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_content_and_name_are_on_the_disk_when_a_write_returns(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(seen(descriptor)))

    def seen(descriptor):
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        return path if path.is_dir() else path.read_bytes(), sorted(path.name for path in tmp_path.glob("[!.]*"))

    write_atomic(tmp_path / "a", b"new")
    assert synced == [(b"new", []), (tmp_path, ["a"])]
    synced.clear()
    with atomic_files([tmp_path / "b", tmp_path / "c"]) as paths:
        for path in paths:
            path.write_bytes(path.name.encode())
    assert synced == [(b"b", ["a"]), (b"c", ["a"]), (tmp_path, ["a", "b", "c"])]


def test_a_link_to_what_is_not_there_is_named(tmp_path):
    (link := tmp_path / "outputs").symlink_to(tmp_path / "unmounted")
    assert hindrance_to_writing(link / "train") == f"{link} is a link to {tmp_path}/unmounted, which is not there"
    (tmp_path / "unmounted").mkdir()
    assert hindrance_to_writing(link / "train") is None
