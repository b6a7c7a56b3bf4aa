"""A refused command leaves nothing on the disk, and each command explains itself."""

import os

import pytest


def contents(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


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
    ],
)
def test_a_refused_command_makes_no_folder(gan, tmp_path, arguments):
    code, _, errors = gan(*arguments)
    assert (code, errors.count("\n")) == (2, 1)
    assert contents(tmp_path) == {}


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
    assert contents(tmp_path) == {}


def test_other_commands_refuse_it_too(gan):
    refused = "gan generate: hydra.sweep.dir=x: only with --multirun, which starts a sweep\n"
    assert gan("generate", "hydra.sweep.dir=x") == (2, "", refused)
    assert "there is no folder" in gan("sweeps", "sweep_name=lr")[2], "its own key"


TINY = (
    "data=digits",
    "trainer.limit_train_batches=1",
    "trainer.limit_val_batches=1",
    "trainer.max_epochs=1",
    "model=dcgan_compact",
    "model.generator.channels=[8,8]",
    "model.discriminator.channels=[8,8]",
    "hardware=cpu",
    "~callbacks.plots",
    "~callbacks.samples",
    "~callbacks.progress_bar",
    "+trainer.enable_progress_bar=false",
)
REFUSED_LATE = (  # by parts that are built or set up when training starts
    "model.generator_schedule={_target_: torch.optim.lr_scheduler.ReduceLROnPlateau}",
    "+callbacks.own={_target_: lightning.pytorch.callbacks.LearningRateMonitor}",
    "callbacks.checkpoints.directory=elsewhere",
)


@pytest.mark.parametrize("wrong", REFUSED_LATE)
def test_a_run_that_is_refused_when_it_starts_leaves_no_folder(gan, tmp_path, wrong):
    code, _, errors = gan("train", *TINY, "logger=none", wrong)
    assert (code, errors.splitlines()[-1][:10]) == (2, "gan train:")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert [*tmp_path.glob("outputs/train/*")] == []


@pytest.mark.slow
def test_a_refused_override_does_not_stay_in_the_run(gan, tmp_path):
    assert gan("train", *TINY, "logger=none")[0] == 0
    before = contents(tmp_path)
    for wrong in ("data.batch_size=0", "model.generator_optimizer.lr=1e-4", "+lr=3", *REFUSED_LATE):
        assert gan("train", "ckpt_path=last", "trainer.max_epochs=2", wrong)[0] == 2
        assert contents(tmp_path) == before
    code, _, errors = gan("train", "ckpt_path=last", "trainer.max_epochs=2")
    assert code == 0, errors
    (run,) = (tmp_path / "outputs" / "train").iterdir()
    settings = f"{run}/.hydra"
    again = gan("train", "--config-path", settings, "trainer.max_epochs=0", "--config-name", "config", "ckpt_path=null")
    assert again[0] == 0, again
    assert len([*(tmp_path / "outputs" / "train").iterdir()]) == 2


@pytest.mark.parametrize("name", ["SLURM_PROCID", "LOCAL_RANK", "RANK"])
def test_a_process_of_its_own_is_never_silent(gan, monkeypatch, name):
    monkeypatch.setenv(name, "3")
    monkeypatch.setenv("SLURM_NTASKS", "4")
    assert gan("generate", "digits=77", "num_images=0")[2].count("\n") == 1
    assert gan("train", "modl=3")[2].count("\n") == 1


def test_a_later_rank_of_one_run_is_silent(gan, monkeypatch):
    for name, value in {"LOCAL_RANK": "1", "RANK": "1", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    assert gan("train", "modl=3") == (2, "", "")


def test_only_a_run_with_a_folder_needs_one_that_it_may_write(gan, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    assert "Permission denied; a run needs a folder" in gan("train", *TINY)[2]
    assert "a run needs a folder" not in gan("doctor")[2]
    code, _, err = gan("generate", "ckpt=pretrained", "num_images=1", "output=one.png")
    assert (code, err) == (0, "")
