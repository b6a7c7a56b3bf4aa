"""Files of a run that a kill or a hand has damaged, what it was started with, and the run that a file comes from."""

import pytest
from omegaconf import OmegaConf

from gan.errors import UserError
from gan.optional_files import read_json
from gan.runs.records import read_yaml, run_arguments, run_data, run_folder, training_command


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


@pytest.fixture
def started(tmp_path):
    """A function from the overrides of a run, Hydra's own first, to its folder."""

    def run(hydra, overrides):
        (tmp_path / ".hydra").mkdir()
        OmegaConf.save(OmegaConf.create(overrides), tmp_path / ".hydra" / "overrides.yaml")
        OmegaConf.save({"hydra": {"overrides": {"hydra": hydra}}}, tmp_path / ".hydra" / "hydra.yaml")
        return tmp_path

    return run


def test_a_run_brings_its_settings_without_its_folder_and_its_sweep(started):
    hydra = ["hydra.run.dir=x", "hydra.mode=RUN", "hydra/launcher=joblib", "hydra.verbose=true", "hydra.running=1"]
    run = started(hydra, ["seed=3", "sweep_name=a", "++max_images=64", "lr=${seed}"])
    kept = ["hydra.verbose=true", "hydra.running=1", "seed=3", "++max_images=64", "lr=${seed}"]
    assert run_arguments(run) == kept
    assert run_arguments(run, leave_out={"seed", "max_images"}) == [kept[0], kept[1], kept[4]]


def test_the_command_of_a_run_is_quoted_for_a_shell(started, tmp_path):
    assert training_command(tmp_path) is None  # it was not the command line that started it
    run = started([], ["model=conditional", "logger=[csv,tensorboard]", "init_from=a", "ckpt_path=auto"])
    assert training_command(run) == "gan train model=conditional 'logger=[csv,tensorboard]' init_from=a"
