"""Files of a run that a kill or a hand has damaged."""

import pytest

from gan.runs.records import read_json, read_yaml


@pytest.mark.parametrize("content", [None, b"", b"{", b"3", b"\xff\xfe\0", b"\0\0\0", b"- [", b"a: ${"])
def test_what_cannot_be_read_is_nothing(tmp_path, content):
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    assert read_json(tmp_path / "file") == {}
    assert not read_yaml(tmp_path / "file")
    assert read_json(tmp_path) == {}
    assert read_yaml(tmp_path) is None


def test_what_is_whole_is_as_it_was_written(tmp_path):
    (tmp_path / "file.json").write_text('{"a": [1, null]}', encoding="utf-8")
    (tmp_path / "file.yaml").write_text("- lr=${seed}\n- größe=2\n", encoding="utf-8")
    assert read_json(tmp_path / "file.json") == {"a": [1, None]}
    assert read_yaml(tmp_path / "file.yaml") == ["lr=${seed}", "größe=2"]
