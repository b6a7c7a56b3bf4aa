"""Runs of Weights & Biases, read back from the files they leave."""

import json
import os
import shutil
import socket
import subprocess
import time

import pytest
import torch
from offline_runs import offline_runs, tracked
from omegaconf import OmegaConf
from tiny_runs import FAST, NARROW, TINY

from gan.errors import UserError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def wandb():
    return pytest.importorskip("wandb")


def test_an_offline_run_has_its_config_curves_and_pictures(shared):
    folder, run = tracked(shared, "conditional")

    assert run.config.pop("_wandb") is not None
    assert run.config == OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))
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


def test_resuming_goes_on_in_the_same_run(run, shared, tmp_path, monkeypatch, wandb):
    shutil.copytree(tracked(shared, "unconditional")[0], tmp_path / "run", symlinks=True)
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


def test_a_wrong_mode_in_the_environment_is_refused_by_its_name(run, monkeypatch):
    """W&B reads it, and refuses it, also where the config says otherwise."""
    monkeypatch.setenv("WANDB_MODE", "rubbish")
    with pytest.raises(UserError, match=r"^environment variable WANDB_MODE=rubbish: online, offline, disabled$"):
        run("logger=wandb", "wandb.mode=offline")


def test_names_of_ones_own_come_first_and_numbers_are_texts_as_well(run, tmp_path):
    run("logger=wandb", "wandb.group=2026", "wandb.name=5", "wandb.job_type=check", "wandb.tags=[7,q]")
    (found,) = offline_runs(tmp_path)
    assert (found.run.run_group, found.run.job_type, found.run.display_name) == ("2026", "check", "5")
    assert {"7", "q"} <= set(found.run.tags)


def test_variables_of_wandb_are_heeded_and_settings_come_first(run, tmp_path, monkeypatch):
    for name in ("PROJECT", "NAME", "RUN_GROUP", "JOB_TYPE"):
        monkeypatch.setenv(f"WANDB_{name}", f"my-{name.lower()}")
    monkeypatch.setenv("WANDB_TAGS", "one,two")
    run("logger=wandb", "wandb.job_type=check")
    (found,) = offline_runs(tmp_path)
    assert (found.run.project, found.run.display_name, found.run.run_group) == ("my-project", "my-name", "my-run_group")
    assert found.run.job_type == "check"
    assert {"one", "two", "Digits"} <= set(found.run.tags)


def test_a_run_outlives_the_process_of_wandb(run, monkeypatch, caplog, wandb):
    def lost(*_, **__):
        raise ConnectionResetError("Connection lost")

    monkeypatch.setattr(wandb.Run, "log", lost)
    monkeypatch.setattr(wandb, "finish", lost)
    try:
        module, metrics = run("logger=[csv,wandb]", "trainer.max_epochs=2")
    finally:
        monkeypatch.undo()
        wandb.finish()
    assert module.images_seen == 128
    assert metrics["val/fid_mnist"] > 0
    told = [text for text in caplog.messages if "not written (Connection lost)" in text]
    assert len(told) == 2  # of the curves, and at the end


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("wandb.mode=on", "^wandb.mode=on: online, offline, disabled"),
        ("wandb.mode=false", "(?i)^wandb.mode=false: online, offline, disabled"),
        ("wandb.tags=abc", r"^wandb.tags=abc: a list, such as \[first,second\]"),
        ("wandb.tags=null", "^wandb.tags=None: a list"),
        ("wandb.project=null", "^wandb.project=None: a text$"),
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
    monkeypatch.setattr("gan.errors.find_spec", lambda name: name if name == "pip" else None)
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
