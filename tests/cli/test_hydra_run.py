"""A refused command leaves nothing on the disk."""

import os
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "data.batch_size=0"),
        ("train", "modl=3"),
        ("train", "data=digits", "model.num_classes=5"),
        ("evaluate", "num_samples=0"),
        ("generate", "mode=wlak"),
        ("export", "ckpt=nowhere.ckpt"),
        ("train", "hydra.job.chdir=true"),
        ("train", "hydra.output_subdir=null"),
        ("generate", "hydra.output_subdir=settings"),
        ("train", "hydra.run.dir="),
        ("train", "hydra.job_logging.root.level=FOO"),
        ("train", "--multirun", "hydra.hydra_logging.root.level=FOO"),
    ],
)
def test_a_refused_command_makes_no_folder(gan, tmp_path, arguments):
    code, _, errors = gan(*arguments)
    assert (code, errors.count("\n")) == (2, 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"# @package _global_\nseed: 1\n  bad: 2\n", "mapping values are not allowed here in"),
        (b"# @package _global_\nseed: 1\nseed: 2\n", "found duplicate key seed"),
        (
            "# @package _global_\n# für\nseed: 1\n".encode("latin-1"),
            "/own/experiment/mine.yaml: not UTF-8, 'utf-8' codec can't decode",
        ),
    ],
)
def test_a_damaged_config_of_ones_own_is_one_line(gan, tmp_path, text, words):
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    (tmp_path / "own" / "experiment" / "mine.yaml").write_bytes(text)
    code, out, err = gan("train", "--config-dir", "own", "experiment=mine")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["sweep=optuna", "n_trials=3"],
        ["launcher=slurm"],
        ["sweep_name=lr"],
        ["hydra/launcher=parallel", "hydra.launcher.n_jobs=2"],
        ["+hydra.sweeper.params.seed=1"],
        ["hydra.sweep.dir=elsewhere"],
    ],
)
def test_what_sets_up_a_sweep_is_refused_without_one(gan, tmp_path, arguments):
    code, out, errors = gan("train", *arguments)
    assert (code, out) == (2, "")
    assert errors == f"gan train: {arguments[0]}: only with --multirun, which starts a sweep\n"
    assert list(tmp_path.iterdir()) == []


def test_a_setting_may_read_another_one_beside_it(gan):
    own = "model.discriminator_optimizer.lr=${..generator_optimizer.lr}"
    assert "model.num_classes=5" in gan("train", "data=digits", own, "model.num_classes=5")[2]


def test_other_commands_refuse_it_too(gan):
    refused = "gan generate: hydra.sweep.dir=x: only with --multirun, which starts a sweep\n"
    assert gan("generate", "hydra.sweep.dir=x") == (2, "", refused)
    assert "there is no folder" in gan("sweeps", "sweep_name=lr")[2], "its own key"


def test_a_run_without_a_folder_is_one_line(gan, tmp_path):
    (tmp_path / "outputs").write_text("")
    code, _, err = gan("generate")
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("gan generate: outputs/generate/")
    assert err.endswith("; a run needs a folder, hydra.run.dir=FOLDER names another one\n")


def test_only_a_run_with_a_folder_needs_one_that_it_may_write(gan, monkeypatch):
    Path("mine").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK or Path(path).name == "mine")
    assert "Permission denied; a run needs a folder" in gan("train", "data=digits")[2]
    assert "a run needs a folder" not in gan("doctor")[2]
    code, _, err = gan("generate", "ckpt=pretrained", "num_images=1", "output=mine/one.png")
    assert (code, err) == (0, "")


@pytest.mark.parametrize("flag", ["--config-dir", "--config-path"])
def test_a_printed_config_runs_as_one_of_ones_own(gan, tmp_path, flag):
    code, printed, _ = gan("generate", "--cfg", "job", "ckpt=pretrained", "num_images=1")
    assert code == 0
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "one.yaml").write_text(printed)
    code, out, err = gan("generate", flag, "own", "--config-name", "one", "output=one.png")
    assert (code, err) == (0, "")
    assert Path(out.splitlines()[-1]) == tmp_path / "one.png"
