"""Output whose reader has left; `cli/test_mistakes.py` has whole commands."""

import os
import sys

import pytest

from gan.closed_output import Output, outlive_reader, require_written


@pytest.mark.parametrize("opened", [os.pipe, os.openpty], ids=["pipe", "terminal"])
@pytest.mark.parametrize("line_buffering", [False, True])
def test_what_nobody_reads_is_discarded(opened, line_buffering):
    reader, writer = opened()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as file:
        file.reconfigure(line_buffering=line_buffering)
        output = Output(file)
        assert [output.write("one\n"), output.write("three\n")] == [4, 6]
        output.flush()


def test_a_full_disk_is_one_line_and_ends_a_command_whose_result_is_lost(monkeypatch, capsys):
    require_written()
    with open("/dev/full", "w", encoding="utf-8") as file:
        output = Output(file)
        monkeypatch.setattr(sys, "stdout", output)
        for _ in range(3):
            print("one", flush=True)
        with pytest.raises(SystemExit) as ended:
            require_written()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "gan: standard output cannot be written (No space left on device)\n"


def test_closed_streams_become_empty_ones(monkeypatch):
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    outlive_reader()
    with sys.stdin, sys.stdout, sys.stderr:
        print("one")
        print("two", file=sys.stderr)
        assert sys.stdin.read() == ""
