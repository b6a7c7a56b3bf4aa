"""Mistakes that end a sweep before its first job starts, and a launcher that fails."""

import json
import shutil

import pytest
from omegaconf import OmegaConf
from tiny_runs import SEARCH, SWEPT


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["model.latnt_dim=8,9"], "model.latnt_dim: no such key; did you mean latent_dim"),
        (["model=dcgan,dcgn"], "dcgn"),
        (["loss=hinge,hing"], "loss=hing: no such config"),
        ([*SEARCH, "model.latnt_dim=choice(8,9)"], "model.latnt_dim: no such key"),
        ([*SEARCH, "model=choice(dcgan,dcgn)"], "dcgn"),
        ([*SEARCH, "hydra.sweeper.n_trials=0", "seed=choice(1,2)"], "n_trials=0"),
        ([*SEARCH, "~callbacks.checkpoints", "seed=choice(1,2)"], "callbacks.checkpoints"),
        ([*SEARCH, "model.latent_dim=int(interval(9,8))"], "model.latent_dim=int(interval(9,8))"),
        ([*SEARCH, "model.latent_dim=tag(Log,interval(1,9))"], "tag Log; the only one is log, of a range"),
        ([*SEARCH, "model.latent_dim=tag(log,choice(8,9))"], "tag log; the only one is log, of a range"),
        ([*SEARCH, "data=choice(digits,fashion_mnist)"], "a search cannot compare val/fid_"),
        (
            [*SEARCH, "data=choice(digits,mnist)"],
            "val/fid_mnist of gan.data.Digits with val/fid_mnist of gan.data.MNIST",
        ),
        ([*SEARCH, "seed=range(5,1)"], "seed=range(5,1): there is no value in it"),
        (["seed=range(5,1)"], "seed=range(5,1): there is no value in it"),
        (["model.loss.label_smoothing=interval(0,0.2)"], "interval(0,0.2): an interval has infinitely many values"),
        ([*SEARCH, "seed=choice(1,2)", "hydra.sweeper.pruner=median"], "pruner=median: {_target_: ..."),
        ([*SEARCH, "seed=choice(1,2)", "hydra.sweeper.pruner._target_=torch.nn.ReLU"], "pruner._target_=torch.nn.ReLU"),
        ([*SEARCH, "seed=choice(1,2)", "hydra.sweeper.pruner._target_=optuna.pruners.Medan"], "optuna.pruners.Medan"),
        ([*SEARCH, "seed=choice(1,2)", "+hydra.sweeper.pruner.n_startup=1"], "pruner: "),
        ([*SEARCH, "seed=choice(1,2)", "+hydra.sweeper.pruner.n_startup_trials=-1"], "cannot be negative"),
        ([*SEARCH, "hydra.sweeper.n_trials=1.5", "seed=choice(1,2)"], "n_trials=1.5: a whole number, 1 or more"),
        (
            [*SEARCH, "data.val_batch_size=range(1,2)", "model.loss.label_smoothing=interval(0.5,3)"],
            "label_smoothing=3.0",
        ),
        (["output_dir=elsewhere", "seed=1,2"], "output_dir=elsewhere: each job has a folder of its own in "),
        (["hydra.sweeper.params=5", "seed=1,2"], "hydra.sweeper.params=5: a mapping of keys to values"),
        (["sweep_name=lr,batch", "seed=1,2"], "sweep_name=lr,batch: this is of the whole sweep, so it has one value"),
        (["sweep_name=a/b"], "sweep_name=a/b: the name of a folder"),
        (["sweep_name="], "sweep_name=: the name of a folder"),
        (["sweep_name=1e3"], "sweep_name=1000.0: the name of a folder"),
        (["n_trials=3"], "n_trials: only with sweep=optuna and --multirun"),
        (["data.batch_size=16,0"], "data.batch_size=0: a whole number, 1 or more"),
        (["trainer.max_epochs=1,-5"], "trainer.max_epochs=-5: a whole number"),
        (["hardware=cpu_ddp", "seed=1,2"], "trainer.devices=2: a job of a sweep has one process"),
        (["launcher=parallel", "hydra.launcher.n_jobs=0", "seed=1,2"], "n_jobs=0: a whole number, 1 or more"),
        (["launcher=slurm", "seed=1,2"], "launcher=slurm: there is no sbatch here"),
        (["launcher=parallel", "hardware=cpu_ddp", "seed=1,2"], "a job of a sweep has one process"),
        (["hydra.sweep.subdir='${seed}'", "seed=1,2"], "hydra.sweep.subdir=${seed}: the number of a job names its"),
        (["hydra.output_subdir=null", "seed=1,2"], "hydra.output_subdir=None: a run is resumed with the settings in"),
        (["hydra.job.chdir=true", "seed=1,2"], "hydra.job.chdir=true: a run stays in the folder"),
        (["launcher=slurm", "hydra.launcher.poll_seconds=-1"], "hydra.launcher.poll_seconds=-1: a number, above 0"),
        (["launcher=slurm", "hydra.launcher.timeout_min=1h"], "hydra.launcher.timeout_min=1h: a whole number, 1 or"),
        (["launcher=slurm", "hydra.launcher.setup=module"], "hydra.launcher.setup=module: a list of lines of shell"),
        (["logger=wandb", "wandb.id=abc", "seed=1,2"], "wandb.id=abc: each job is a run of its own; wandb.group=abc"),
        (["hydra.run.dir=here", "seed=1,2"], "hydra.run.dir=here: a sweep's folder is outputs/multirun/SWEEP_NAME"),
    ],
)
def test_a_mistake_ends_a_sweep_before_it_starts(sweep, tmp_path, monkeypatch, arguments, words):
    monkeypatch.setenv("PATH", "/nowhere")
    code, out = sweep(*arguments)
    assert code == 2
    assert words in out
    assert len(out.strip().splitlines()) == 1
    assert not (tmp_path / "outputs").exists()


def test_one_run_of_wandb_for_all_jobs_is_refused(sweep, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_RUN_ID", "abc")
    code, out = sweep("logger=wandb", "seed=1,2")
    assert code == 2
    assert "environment variable WANDB_RUN_ID=abc: each job is a run of its own; unset it" in out
    assert not (tmp_path / "outputs").exists()


@pytest.mark.usefixtures("no_figure")
def test_settings_may_read_the_number_of_their_job(sweep, folder):
    assert sweep("seed=${hydra:job.num}", "data.batch_size=8,16")[0] == 0
    assert [OmegaConf.load(folder / name / "config.yaml").seed for name in ("0", "1")] == [0, 1]


@pytest.mark.usefixtures("no_figure")
def test_a_trial_whose_folder_is_gone_is_named(sweep, folder):
    search = ("hydra/sweeper=optuna", "hydra.sweeper.n_trials=1", "seed=choice(1,2)")
    assert sweep(*search)[0] == 0
    shutil.rmtree(folder / "0")
    code, out = sweep(*search)
    assert (code, "job 0: " in out, "has no settings that can be read" in out) == (1, True, True)


def test_a_search_that_a_config_asks_for_is_refused_without_multirun(gan, tmp_path):
    (tmp_path / "mine.yaml").write_text("defaults:\n  - train\n  - override sweep: optuna\n  - _self_\n")
    code, _, errors = gan("train", *SWEPT, "--config-dir", str(tmp_path), "--config-name", "mine")
    assert (code, errors.strip()) == (2, "gan train: sweep=optuna: a search needs gan train --multirun")


def test_a_launcher_that_fails_leaves_failed_jobs_in_the_folder_that_is_meant(
    sweep, tmp_path, monkeypatch, basic_launcher
):
    batch = []

    def launch(self, jobs, initial_job_idx):
        batch.extend(jobs)
        raise OSError("a worker was killed")

    monkeypatch.setattr(basic_launcher, "launch", launch)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    code, out = sweep("seed=1,2", "hydra.sweep.dir='~/my sweep'")
    assert code == 1
    assert "the launcher failed: OSError: a worker was killed" in out
    folder = tmp_path / "home" / "my sweep"
    assert all(json.loads((folder / job / "job.json").read_text())["status"] == "failed" for job in "01")
    assert all(f'hydra.sweep.dir="{folder}"' in job for job in batch)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


@pytest.mark.parametrize(
    ("arguments", "jobs"),
    [
        (
            ["model=conditional,dcgan", "model={latent_dim: 8},{latent_dim: 9}"],
            [[f"model={name}", f"model={{latent_dim:{size}}}"] for name in ("conditional", "dcgan") for size in (8, 9)],
        ),
        (
            ["model=dcgan", "model=choice({latent_dim: 8},{latent_dim: 9})"],
            [["model=dcgan", f"model={{latent_dim:{size}}}"] for size in (8, 9)],
        ),
        (["++seed=1", "seed=2,3"], [["seed=2"], ["seed=3"]]),
        (["seed=2,3", "++seed=1"], [["++seed=1"]]),
        (
            [*SEARCH, "hydra.sweeper.n_trials=1", "model=dcgan", "model=choice({latent_dim: 8})"],
            [["model=dcgan", "model={latent_dim:8}"]],
        ),
    ],
)
def test_each_setting_of_the_command_line_reaches_the_jobs(sweep, monkeypatch, basic_launcher, arguments, jobs):
    batch = []
    monkeypatch.setattr(basic_launcher, "launch", lambda self, launched, **options: batch.extend(launched))
    sweep(*arguments)
    own = [[text for text in job if text.lstrip("+").startswith(("model=", "seed="))] for job in batch]
    assert own == jobs
