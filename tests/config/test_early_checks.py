"""What is refused before anything heavy is imported."""

import shlex
import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from gan.config import compose
from gan.config.early_checks import check, expand_home
from gan.errors import UserError


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["+lr=3"], "lr: no such key; gan train has callbacks"),
        (["+wandb.mode=online"], "wandb: only with logger=wandb"),
        (["+n_trials=3"], "n_trials: only with sweep=optuna and --multirun"),
        (["+pruner=null"], "pruner: only with sweep=optuna and --multirun"),
        (["data.dir='~no such user/mnist'"], "data.dir=~no such user/mnist: there is no home folder ~no such user"),
        (["+metrics.measure=[fid]"], "metrics.measure: no such key; did you mean measures?"),
        (["logger=wandb", "+wandb.resume=must"], "wandb.resume: no such key; wandb has entity group id"),
        (["~compile"], "compile: gan train needs this key; leave ~compile out"),
        (["~data"], "data: has no _target_; "),
        (["metrics=5"], "metrics=5: it has extractor inception_weights measures"),
        (["data.batch_size=0"], "data.batch_size=0: a whole number, 1 or more"),
        (["trainer.precision=fp8"], "trainer.precision=fp8: auto, 32-true, 16-mixed, bf16-mixed"),
        (["trainer.accelerator=npu"], "trainer.accelerator=npu: auto, cpu, gpu, cuda, mps"),
        (["cuda_graph=1"], "cuda_graph=1: auto, true, false"),
        (["data.download=no"], "data.download=no: true or false"),
        (["trainer.max_epochs=-5"], "trainer.max_epochs=-5"),
        (["init_from=nowhere.ckpt"], "init_from=nowhere.ckpt: there is no file"),
        (["metrics.inception_weights=a.pth"], "metrics.inception_weights=a.pth: only with metrics.extractor=inception"),
        (["ckpt_path=[a.ckpt]"], "ckpt_path=['a.ckpt']: the path of a file, or null"),
        (["init_from=[]"], "init_from=[]: the path of a file, or null"),
        (["data=digits", "data.dir=null"], "data.dir=None: the path of a folder"),
        (["model.loss.label_smoothing=2"], "model.loss.label_smoothing=2"),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(overrides, line):
    with pytest.raises(UserError) as raised:
        check("train", compose("train", overrides))
    assert str(raised.value).startswith(line)


@pytest.mark.parametrize(
    ("command", "override"),
    [
        ("generate", "format=jpg"),
        ("export", "dtype=int8"),
        ("evaluate", "split=train"),
        ("evaluate", "data.val_size=-1"),
    ],
)
def test_other_commands_check_their_own_keys(command, override):
    with pytest.raises(UserError, match=f"^{override}: "):
        check(command, compose(command, [override]))


@pytest.mark.parametrize(
    ("command", "key", "has"),
    [("doctor", "data.source", "data has dir"), ("generate", "directions.tilt", "directions has size slant")],
)
def test_a_key_that_nothing_would_read_is_refused(command, key, has):
    with pytest.raises(UserError, match=f"^{key}: no such key; {has}"):
        check(command, compose(command, [f"+{key}=1"]))


def test_a_config_from_a_file_is_checked_where_hydra_has_composed_none():
    cfg = OmegaConf.create(OmegaConf.to_container(compose("train", ["output_dir=run"]), resolve=True))
    OmegaConf.clear_resolver("now")  # Hydra registers it again for the next config
    check("train", cfg)


def test_every_command_accepts_its_own_defaults_and_choices():
    for command in ("generate", "evaluate", "export", "serve", "sweeps"):
        cfg = compose(command, ["ckpt=null"] if command == "serve" else [])
        check(command, cfg)
    for choice in ("logger=wandb", "experiment=quick", "launcher=slurm", "loss=wasserstein", "hardware=cpu_ddp"):
        check("train", compose("train", [choice]))


def test_an_experiment_without_its_package_line_is_refused(tmp_path):
    (tmp_path / "experiment").mkdir()
    mine = tmp_path / "experiment" / "mine.yaml"
    mine.write_text("seed: 3\n")
    with pytest.raises(UserError, match=r"experiment: no such key; .* needs the first line `# @package _global_`"):
        check("train", compose("train", ["experiment=mine"], [tmp_path]))
    mine.write_text("# @package _global_\nwidth: 5\nmodel:\n  latent_dim: ${width}\n")
    cfg = compose("train", ["experiment=mine"], [tmp_path])
    check("train", cfg)  # a key of one's own that another setting reads
    assert cfg.model.latent_dim == 5


@pytest.mark.parametrize("above", ["", "# mine\n# @package _global_\n"], ids=["missing", "below another comment"])
def test_an_experiment_that_overrides_a_group_without_its_package_line_is_told_so(gan, tmp_path, above):
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    text = f"{above}defaults:\n  - override /model: conditional\n"
    (tmp_path / "own" / "experiment" / "mine.yaml").write_text(text, encoding="utf-8")
    line = "gan train: experiment=mine: its first line must be `# @package _global_`\n"
    assert gan("train", "--config-dir", "own", "experiment=mine") == (2, "", line)


def test_a_folder_in_place_of_a_checkpoint_is_told_by_its_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my run" / "checkpoints").mkdir(parents=True)
    with pytest.raises(UserError, match=r"^ckpt=my run: a folder, not a file$"):
        check("generate", compose("generate", ["ckpt='my run'"]))
    (file := tmp_path / "my run" / "checkpoints" / "last.ckpt").touch()
    for folder in ("my run", "my run/checkpoints"):
        for command, key in (
            ("generate", "ckpt"),
            ("evaluate", "ckpt"),
            ("train", "ckpt_path"),
            ("train", "init_from"),
        ):
            with pytest.raises(UserError) as raised:
                check(command, compose(command, [f"{key}='{folder}'"]))
            told, _, taken = str(raised.value).partition("; ")
            assert told == f"{key}={folder}: a folder"
            (pasted,) = shlex.split(taken.removesuffix(" takes its newest checkpoint"))
            assert compose(command, [pasted])[key] == str(file)


def test_an_experiment_that_sets_a_group_to_a_text_is_told_how_one_is_chosen(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\nmodel: dcgan_compact\n")
    with pytest.raises(UserError, match=r"^model=dcgan_compact: .*`- override /model: dcgan_compact` in the defaults"):
        check("train", compose("train", ["experiment=mine"], [tmp_path]))


def test_an_experiment_overrides_what_its_search_and_launcher_say(tmp_path):
    (tmp_path / "experiment").mkdir()
    chosen = "defaults:\n  - override /sweep: optuna\n  - override /launcher: parallel\n"
    own = "n_trials: 3\ncallbacks:\n  progress_bar:\n    refresh_rate: 7\n"
    (tmp_path / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{chosen}{own}")
    cfg = compose("train", ["experiment=mine"], [tmp_path])
    assert (cfg.n_trials, cfg.pruner.n_warmup_steps, cfg.callbacks.progress_bar.refresh_rate) == (3, 1, 7)


@pytest.mark.parametrize("group", ["model", "data"])
def test_a_config_of_ones_own_without_a_target_is_refused(tmp_path, group):
    (tmp_path / group).mkdir()
    mine = tmp_path / group / "mine.yaml"
    mine.write_text("seed: 5\n")
    with pytest.raises(UserError, match=rf"^{group}: has no _target_; .* has one of .*/.* in its defaults$"):
        check("train", compose("train", [f"{group}=mine"], [tmp_path]))


def test_a_quoted_home_is_expanded(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("a.ckpt", "b.ckpt"):
        (tmp_path / name).touch()
    cfg = compose("evaluate", ["ckpt=['~/a.ckpt','~/b.ckpt']", "data.dir='~/mnist'"])
    check("evaluate", cfg)
    served = compose("serve", ["jobs_dir='~/jobs'"])
    expand_home(served)
    assert served.jobs_dir == f"{tmp_path}/jobs"
    assert (cfg.ckpt, cfg.data.dir) == ([f"{tmp_path}/a.ckpt", f"{tmp_path}/b.ckpt"], f"{tmp_path}/mnist")


@pytest.mark.process
def test_composing_and_checking_import_no_torch():
    code = (
        "import sys; from gan.config import compose; from gan.config.early_checks import check;"
        "import gan.cli.hydra_run, gan.runs.newest, gan.sweeps.grid_sweep;"
        "check('train', compose('train', ['+trainer.max_time=00:00:30:00']));"
        "assert not {'torch', 'lightning'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
