"""Output whose reader has left; `cli/test_mistakes.py` has whole commands."""

import os

import pytest

from gan.closed_output import Output


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
