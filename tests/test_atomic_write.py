"""Files that appear whole or not at all."""

import pytest

from gan.atomic_write import atomic_file


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
