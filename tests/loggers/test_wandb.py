"""Runs of Weights & Biases, read back from the files they leave."""

import json
import os
import signal
import socket
import subprocess
import time

import pytest
import torch
from offline_runs import offline_runs
from omegaconf import OmegaConf
from tiny_runs import FAST, NARROW, TINY

from gan.callbacks.training_log import TrainingLog
from gan.errors import UserError
from gan.train import train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def wandb():
    return pytest.importorskip("wandb")


OWN = ("logger=[csv,wandb]", "~callbacks.plots")


def test_an_offline_run_has_config_curves_pictures_table_and_artifact(tiny, tmp_path):
    cfg = tiny(
        *OWN,
        *("model=conditional", "model.generator.channels=[8,8,8]", "model.discriminator.channels=[8,8,8,8]"),
        *("trainer.max_epochs=2", "seed=3"),
        *("wandb.project=digits", "wandb.notes=first try", "wandb.tags=[mine]", "wandb.log_checkpoint=true"),
    )
    train(cfg)
    (run,) = offline_runs(tmp_path)

    assert run.config.pop("_wandb") is not None
    assert run.config == OmegaConf.to_container(OmegaConf.load(tmp_path / "run" / "config.yaml"))
    assert (run.run.project, run.run.display_name, run.run.job_type) == ("digits", "GAN-BinaryCrossEntropy-3", "train")
    assert run.run.notes == "first try"
    assert {"Digits", "BinaryCrossEntropy", "mine"} < set(run.run.tags), "and the commit, in a repository"
    assert run.exit_code == 0
    assert {"stats", "environment"} <= run.kinds

    assert run.metrics["*"].step_metric == "images_seen"
    assert run.metrics["val/fid_mnist"].summary.min
    assert run.metrics["val/digit_accuracy"].summary.max
    steps = [row.get("_step", 0) for row in run.history]
    assert steps == [row["images_seen"] for row in run.history] == list(range(0, 129, 16))
    fid = run.curve("val/fid_mnist")
    assert [images for images, _ in fid] == [64, 128]
    assert run.summary["val/fid_mnist"] == {"min": min(value for _, value in fid)}
    assert len(run.curve("train/gradient_norm_generator")) == len(run.curve("train/loss_discriminator")) == 8

    assert [images for images, _ in run.curve("samples")] == [0, 64, 128]
    for _, picture in run.curve("samples"):
        assert (run.folder / "files" / picture["filenames"][0]).is_file()

    assert [images for images, _ in run.curve("recognized_samples")] == [128]
    table = run.table("recognized_samples")
    assert table["columns"] == ["class", "recognized", "confidence", "image"]
    assert [row[0] for row in table["data"]] == [digit for digit in range(10) for _ in range(10)]
    assert all(row[1] in range(10) and 0.1 <= row[2] <= 1 for row in table["data"])
    assert {row[3]["_type"] for row in table["data"]} == {"image-file"}

    artifact = run.artifacts[f"model-{run.run.run_id}"]
    best = json.loads((tmp_path / "run" / "checkpoints" / "best.json").read_text())
    assert (set(artifact.aliases), json.loads(artifact.metadata)) == ({"latest", "best"}, best)
    assert [content.path for content in artifact.manifest.contents] == ["best.ckpt"]


def test_an_unconditional_run_has_a_table_of_what_is_read_and_other_pictures_none(run, tmp_path):
    run("logger=wandb")
    (digits,) = offline_runs(tmp_path)
    assert digits.table("recognized_samples")["columns"] == ["recognized", "confidence", "image"]
    assert f"model-{digits.run.run_id}" not in digits.artifacts, "nobody asked for it"
    run("logger=wandb", "data.source._target_=my_gan.Stripes", folder="stripes")
    assert not offline_runs(tmp_path / "stripes")[0].curve("recognized_samples")


def test_rows_of_a_call_of_many_steps_stand_at_their_own_images(run, tmp_path):
    run("logger=wandb", "steps_per_execution=4")
    (found,) = offline_runs(tmp_path)
    assert [images for images, _ in found.curve("train/loss_generator")] == [16, 32, 48, 64]


def test_resuming_goes_on_in_the_same_run(run, tmp_path, monkeypatch, wandb):
    run("logger=wandb")
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    run_id = torch.load(last, weights_only=True)["wandb_id"]
    run("logger=wandb", f"ckpt_path='{last}'", "trainer.max_epochs=2", folder="moved")
    time.sleep(1)  # W&B names the folder of a run by its second
    monkeypatch.setattr(wandb.Run, "starting_step", 97)  # the server has what the killed run logged until then
    run("logger=wandb", "ckpt_path=auto", "trainer.max_epochs=2")

    (first, again), (moved,) = offline_runs(tmp_path / "run"), offline_runs(tmp_path / "moved")
    assert {found.run.run_id for found in (first, again, moved)} == {run_id}
    assert again.run.resume
    assert [row["images_seen"] for row in moved.history] == [80, 96, 112, 128]
    assert [row["images_seen"] for row in again.history] == [112, 128]
    assert first.curve("train/loss_generator")[-1][0] == 64

    run("logger=wandb", f"ckpt_path='{last}'", "trainer.max_epochs=3", "wandb.id=another", folder="branch")
    assert offline_runs(tmp_path / "branch")[0].run.run_id == "another"


def test_jobs_of_a_multirun_are_runs_of_one_group_and_a_failing_one_is_marked(gan, tmp_path):
    arguments = ("--multirun", "logger=wandb", "model.instance_noise=0,1e38")
    code, out, err = gan("train", *arguments, *TINY, *NARROW, *FAST)
    assert code == 1
    assert "diverged" in out + err
    well, failed = offline_runs(tmp_path)
    (folder,) = (tmp_path / "outputs" / "multirun").iterdir()
    assert {run.run.run_group for run in (well, failed)} == {folder.name}
    assert {run.run.job_type for run in (well, failed)} == {"sweep"}
    assert (well.run.display_name, well.run.tags[0]) == ("dcgan-BinaryCrossEntropy-0", "digits")
    assert well.run.run_id != failed.run.run_id
    assert [run.config["model"]["instance_noise"] for run in (well, failed)] == [0, 1e38]
    assert (well.exit_code, failed.exit_code) == (0, 1)
    for run, curve in ((well, [16, 32, 48, 64]), (failed, [])):  # it ends at its first step
        assert [images for images, _ in run.curve("train/loss_generator")] == curve


def test_an_interrupted_run_is_marked_and_another_can_follow(run, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(TrainingLog, "on_train_epoch_start", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run("logger=wandb", folder="a")
    signal.signal(signal.SIGINT, handler)  # Lightning ignores further ones
    run("logger=wandb", folder="b")
    assert [found.exit_code for found in offline_runs(tmp_path)] == [1, 0]


def test_a_run_of_the_callers_own_stays_open(run, tmp_path, wandb):
    own = wandb.init(mode="offline", dir=str(tmp_path))
    for logger in ("csv", "wandb"):
        run(f"logger={logger}", folder=logger)
        assert wandb.run is own
    own.finish()


def test_names_of_ones_own_come_first(run, tmp_path):
    run("logger=wandb", "wandb.group=mine", "wandb.job_type=check", "wandb.name=short")
    (found,) = offline_runs(tmp_path)
    assert (found.run.run_group, found.run.job_type, found.run.display_name) == ("mine", "check", "short")


@pytest.mark.parametrize("mode", ["on", "false"])
def test_a_wrong_mode_is_refused(run, mode):
    with pytest.raises(UserError, match=rf"(?i)wandb.mode={mode}: online, offline, disabled"):
        run("logger=wandb", f"wandb.mode={mode}")


def test_a_wrong_mode_in_the_environment_is_refused_by_its_name(run, monkeypatch):
    """W&B reads it, and refuses it, also where the config says otherwise."""
    monkeypatch.setenv("WANDB_MODE", "rubbish")
    with pytest.raises(UserError, match=r"^environment variable WANDB_MODE=rubbish: online, offline, disabled$"):
        run("logger=wandb", "wandb.mode=offline")


def test_numbers_are_texts_as_well(run, tmp_path):
    run("logger=wandb", "wandb.group=2026", "wandb.name=5", "wandb.job_type=1", "wandb.tags=[7,q]")
    (found,) = offline_runs(tmp_path)
    assert (found.run.run_group, found.run.job_type, found.run.display_name) == ("2026", "1", "5")
    assert {"7", "q"} <= set(found.run.tags)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("wandb.tags=abc", r"wandb.tags=abc: a list, such as \[abc\]"),
        (f"wandb.tags=[{'a' * 79}]", r"(?s)tags=.*79 characters"),
        ("wandb.project=a/b", "project=a/b.*Invalid project name"),
    ],
)
def test_what_wandb_does_not_take_is_told_with_its_key(run, override, words):
    with pytest.raises(UserError, match=words):
        run("logger=wandb", override)


def test_a_disabled_run_trains_and_leaves_nothing(run, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    module, _ = run("logger=wandb", "wandb.log_checkpoint=true")
    assert module.images_seen == 64
    assert not list(tmp_path.rglob("*.wandb"))


def test_a_missing_package_is_one_line(run, monkeypatch):
    monkeypatch.setattr("gan.errors.find_spec", lambda name: None)
    for name in ("wandb", "tensorboard"):
        with pytest.raises(UserError, match=rf"logger={name} needs {name}; .* -m pip install 'mnist-gan\[tracking\]'"):
            run(f"logger={name}")


NO_SOCKETS = """
import json, socket, sys
connect = socket.socket.connect
def guarded(self, address):
    if self.family != socket.AF_UNIX:
        raise SystemExit(f"tried to reach {address}")
    return connect(self, address)
socket.socket.connect = guarded
from gan.cli import main
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["gan", *arguments]
    assert main() == 0
    print("imported", sorted({"wandb", "tensorboard"} & set(sys.modules)))
"""


@pytest.mark.process
def test_nothing_reaches_for_the_network_offline_and_a_csv_alone_imports_no_tracker(tmp_path, python):
    """W&B's service is a program of its own: its way to the network leads through this proxy."""
    proxy = socket.create_server(("127.0.0.1", 0))
    proxy.setblocking(False)
    address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
    environment = {"HTTPS_PROXY": address, "HTTP_PROXY": address, "NO_PROXY": "", "WANDB_MODE": "offline"}
    runs = (["logger=csv", "hydra.run.dir=csv"], ["experiment=debug", "logger=wandb"])
    arguments = json.dumps([["train", *run, *TINY, *NARROW, *FAST] for run in runs])
    line, environment = [python, "-c", NO_SOCKETS, arguments], os.environ | environment
    ended = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stderr
    imported = [line for line in ended.stdout.splitlines() if line.startswith("imported")]
    assert imported == ["imported []", "imported ['wandb']"]
    (run,) = offline_runs(tmp_path)
    assert (run.run.run_group, run.run.job_type) == ("debug", "train")
    with proxy, pytest.raises(BlockingIOError):  # nobody waits to be let in
        proxy.accept()
