"""The run that a file comes from: its folder and its data."""

import pytest

from gan.errors import UserError
from gan.runs.origin import run_data, run_folder


@pytest.fixture
def written(tmp_path):
    """The folder of a run that was started in `tmp_path`."""
    run = tmp_path / "outputs" / "train" / "a"
    (run / ".hydra").mkdir(parents=True)
    (run / "config.yaml").write_text("data: {source: {_target_: three_channels.ThreeDigits}, dir: data}")
    (run / ".hydra" / "hydra.yaml").write_text(f"hydra: {{runtime: {{cwd: '{tmp_path}'}}}}")
    return run


def test_a_run_is_found_from_its_files(written, tmp_path):
    for name in ("checkpoints/last.ckpt", "generator.safetensors"):
        assert run_folder(written / name) == written
    assert run_folder(tmp_path / "generator.safetensors") is None


@pytest.mark.parametrize(
    "content",
    [
        *(b"data: 3", b"seed: 0", b"[1]", b"data: {", b"a: 1", b"data: {path: mine}", b"data: {_target_: [1], dir: a}"),
        *(b"data: {_target_: a.B, dir: null}", b"data: {dir: a}", b"data: ${", b"data: {dir: '${'}", b"2020-01-01: 1"),
        *("Gr\u00f6\u00dfe: 1".encode("latin-1"), b"\0"),
    ],
)
def test_another_programs_config_is_no_run(written, content):
    (written / "config.yaml").write_bytes(content)
    assert run_folder(written / "checkpoints" / "last.ckpt") is None


def test_the_data_of_a_run_are_in_the_folder_that_it_was_started_in(written, tmp_path):
    def folder():
        return run_data(written, ["three_channels"]).dir

    assert folder() == str(tmp_path / "data")
    config = written / "config.yaml"
    for elsewhere in ("~/data", "/data"):
        config.write_text(config.read_text().replace("dir: data", f"dir: {elsewhere}"))
        assert folder() == elsewhere
        config.write_text(config.read_text().replace(f"dir: {elsewhere}", "dir: data"))
    (written / ".hydra" / "hydra.yaml").write_text("hydra: {runtime: {cwd: /gone}}")
    assert folder() == "data"


def test_data_of_a_source_without_files_are_those_of_the_run(written):
    (written / "config.yaml").write_text("data: {source: {_target_: gan.data.Digits}, batch_size: 3}")
    assert run_folder(written / "checkpoints" / "last.ckpt") == written
    assert run_data(written) == {"source": {"_target_": "gan.data.Digits"}, "batch_size": 3}


def test_data_of_a_class_that_is_not_trusted_are_refused(written):
    with pytest.raises(UserError, match=r"config.yaml: data.source._target_=three_channels.ThreeDigits: only what is"):
        run_data(written)
