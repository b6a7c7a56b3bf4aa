"""Which run is the newest, and the command line that resumes one."""

import os
import shlex

import pytest
from omegaconf import OmegaConf

from gan.config import compose
from gan.config.hydra_flags import split_flags
from gan.errors import UserError
from gan.runs.newest import continue_newest, newest_run, resume_command

NAMES = ("lr=0.1", "a b", "ü,(x)", "it's", 'a"b', "$HOME", "plain")


@pytest.fixture
def started(tmp_path, monkeypatch):
    """A function that writes what a run leaves of its command line; each is a second newer than the one before."""
    monkeypatch.chdir(tmp_path)
    times = iter(range(1_000_000, 2_000_000))

    def written(name, overrides=(), hydra=(), sources=(), config_name="train", checkpoint=True):
        folder = tmp_path / "outputs" / "train" / name
        (folder / ".hydra").mkdir(parents=True)
        OmegaConf.save(OmegaConf.create(list(overrides)), folder / ".hydra" / "overrides.yaml")
        settings = {
            "overrides": {"hydra": list(hydra)},
            "runtime": {"config_sources": list(sources)},
            "job": {"config_name": config_name},
        }
        OmegaConf.save({"hydra": settings}, folder / ".hydra" / "hydra.yaml")
        files = [folder / ".hydra" / "overrides.yaml"]
        if checkpoint:
            (folder / "checkpoints").mkdir()
            files.append(folder / "checkpoints" / "last.ckpt")
            files[-1].write_bytes(b"")
        now = next(times)
        for path in files:
            os.utime(path, (now, now))
        return folder

    return written


@pytest.mark.parametrize("name", NAMES)
def test_the_command_that_resumes_a_run_can_be_pasted(started, name):
    run = started(name, ["model=dcgan", "seed=3", "ckpt_path=x"], ["hydra.run.dir=a", "hydra.verbose=true"])
    assert resume_command(run) == "gan train ckpt_path=last"
    started("newer")
    program, command, *arguments = shlex.split(resume_command(run))
    assert (program, command, arguments[0]) == ("gan", "train", "hydra.verbose=true")
    flags, _, overrides = split_flags(arguments)
    composed = compose("train", [text.replace("hydra.run.dir", "init_from") for text in overrides])
    assert flags == []
    assert (composed.seed, composed.ckpt_path, composed.init_from) == (3, "auto", str(run))


def test_the_newest_run_brings_its_settings_and_where_its_configs_were(started, tmp_path):
    sources = [{"provider": "command-line", "path": "/my configs"}, {"provider": "main", "path": str(tmp_path)}]
    hydra = ["hydra.searchpath=[file:///c]", "hydra.run.dir=x", "hydra/launcher=parallel", "hydra.sweeper.n_trials=3"]
    run = started("run", ["seed=3", "+trainer.gradient=1", "init_from=a"], hydra, sources, config_name="mine")
    folder = f'hydra.run.dir="{run}"'
    where = ["--config-dir", "/my configs", "--config-path", str(tmp_path), "--config-name", "mine"]
    own = ["hydra.searchpath=[file:///c]", "seed=3", "+trainer.gradient=1", "init_from=a"]
    assert continue_newest(["ckpt_path=last"]) == [*where, *own, "ckpt_path=auto", folder]
    changed = continue_newest(["--config-dir", "d", "ckpt_path='last'", "--config-name=n", "seed=4"])
    _, options, overrides = split_flags(changed)
    assert (options.config_dir, options.config_path, options.config_name) == ("d", str(tmp_path), "n")
    assert overrides == [own[0], *own[2:], "seed=4", "ckpt_path=auto", folder]
    assert "++trainer.gradient=2" in continue_newest(["ckpt_path=last", "trainer.gradient=2"])
    assert continue_newest(["seed=4", "ckpt_path=FILE"]) == ["seed=4", "ckpt_path=FILE"]
    file = f'ckpt_path="{run}/checkpoints/last.ckpt"'
    assert continue_newest(["ckpt_path=last", "-m", "seed=1,2"])[-2:] == ["seed=1,2", file]


def test_settings_of_a_choice_end_with_it(started):
    started("run", ["loss=bce_smoothed", "model.loss.label_smoothing=0.2", "logger=[csv,wandb]", "wandb.group=night"])
    kept = continue_newest(["ckpt_path=last", "logger=[wandb]"])
    assert {"model.loss.label_smoothing=0.2", "wandb.group=night"} <= set(kept)
    kept = continue_newest(["ckpt_path=last", "logger=[csv]", "loss=hinge"])
    assert not [text for text in kept if text.startswith(("model.loss.", "wandb."))]


def test_last_resumes_in_its_own_folder_alone(started):
    run = started("run", ["seed=3"])
    with pytest.raises(UserError, match=r"^hydra.run.dir=elsewhere: ckpt_path=last resumes in the run's own folder; "):
        continue_newest(["ckpt_path=last", "hydra.run.dir=elsewhere"])
    named = continue_newest(["ckpt_path=last", f"hydra.run.dir={run}"])
    assert named[-2:] == ["ckpt_path=auto", f'hydra.run.dir="{run}"']
    assert "hydra.sweep.dir=elsewhere" in continue_newest(["ckpt_path=last", "-m", "hydra.sweep.dir=elsewhere"])


def test_last_is_never_an_older_run_without_a_word(started):
    older = started("older", ["seed=3"])
    newer = started("newer", checkpoint=False)
    with pytest.raises(UserError) as raised:
        continue_newest(["ckpt_path=last"])
    text = str(raised.value)
    assert text.startswith(
        f"ckpt_path=last: the newest run, {newer}, has no checkpoint; `gan train seed=3 ckpt_path=auto"
    )
    assert text.endswith(f"the one before, {older}")
    with pytest.raises(UserError, match=r"ckpt=last: .*; `ckpt=/.*/older/checkpoints/last.ckpt` takes"):
        newest_run()


@pytest.mark.parametrize("name", NAMES)
def test_the_checkpoint_of_an_older_run_can_be_pasted(started, name):
    older = started(name)
    started("newer", checkpoint=False)
    with pytest.raises(UserError) as raised:
        newest_run()
    _, pasted, _ = str(raised.value).split("`")
    assert compose("generate", shlex.split(pasted)).ckpt == str(older / "checkpoints" / "last.ckpt")


def test_a_setting_leaves_out_the_one_that_it_replaces_and_no_other(started):
    started("run", ["seed=3", "model=conditional", "data=digits"])
    given = ["model=dcgan", "data={batch_size: 30}"]
    assert continue_newest(["ckpt_path=last", *given])[:-2] == ["seed=3", "data=digits", *given]
