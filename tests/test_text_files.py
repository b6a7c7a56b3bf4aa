"""Every text file is UTF-8, whatever the locale says."""

import ast
import io
import locale
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = [path for folder in ("gan", "hydra_plugins", "bench") for path in (ROOT / folder).rglob("*.py")]
OTHER_OPEN = ("os", "Image", "DigitGenerator", "Model", "archive")  # these open no text file


@pytest.fixture
def c_locale():
    before = locale.setlocale(locale.LC_CTYPE)
    locale.setlocale(locale.LC_CTYPE, "C")
    yield
    locale.setlocale(locale.LC_CTYPE, before)


def names_no_encoding(call):
    """Whether a call opens a text file, or the text output of a program, in the encoding of the locale."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    keywords = {keyword.arg for keyword in call.keywords}
    if name == "open":
        binary = any(isinstance(value, ast.Constant) and "b" in str(value.value) for value in call.args)
        text = not binary and ast.unparse(getattr(call.func, "value", call.func)) not in OTHER_OPEN
    else:
        text = name in ("read_text", "write_text", "TextIOWrapper", "FileHandler") or (
            name in ("run", "Popen") and "text" in keywords
        )
    return text and "encoding" not in keywords


def test_each_text_file_is_opened_with_its_encoding():
    # Ruff's rule sees only those paths whose type it can infer.
    calls = [(path, n) for path in SOURCES for n in ast.walk(ast.parse(path.read_bytes())) if isinstance(n, ast.Call)]
    wrong = [f"{path.relative_to(ROOT)}:{call.lineno}" for path, call in calls if names_no_encoding(call)]
    assert (len(calls) > 1000, wrong) == (True, [])


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_files_are_utf8_in_a_locale_that_is_not(gan, trained, tmp_path, c_locale):
    with (tmp_path / "plain").open("w") as file:
        assert file.encoding.lower() not in ("utf-8", "utf8")
    text = "ü ± 手"
    small = ("data=digits", "device=cpu", "num_samples=400", "repeats=2", "metrics.measures=[fid]")
    ckpt = f"ckpt='{trained('unconditional')}/checkpoints/last.ckpt'"
    code, _, err = gan("evaluate", ckpt, *small, f"hydra.run.dir='{text}'")
    assert code == 0, err
    code, _, err = gan("export", ckpt, f"output='{text}.safetensors'", f"measures='{text}/metrics.json'")
    assert code == 0, err
    for path in (f"{text}/metrics.md", f"{text}.md"):
        assert "±" in (tmp_path / path).read_text(encoding="utf-8")
    assert text in (tmp_path / text / "run.log").read_text(encoding="utf-8")


def test_a_terminal_that_lacks_a_character_ends_no_command(gan, monkeypatch, tmp_path):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii", write_through=True))
    code, _, err = gan("generate", "ckpt=pretrained", "digits=[3]", "output='ü.png'", "device=cpu")
    assert (code, (tmp_path / "ü.png").is_file()) == (0, True), err
    assert b"\\xfc.png" in written.getvalue()
