"""A mistake is one line on stderr, and an exit status."""

import subprocess
import sys
from pathlib import Path

import pytest
from tiny_runs import NARROW, TINY

from gan.cli.mistakes import mistakes_in_one_line
from gan.errors import Stopped, UserError
from gan.hardware import cpu_has_bf16

RUN = (*TINY, *NARROW, "~callbacks.plots")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "model.latnt_dim=3"], "model.latnt_dim: no such key; did you mean latent_dim"),
        (
            ["train", "trainer.val_check_interval=1"],
            "val_check_interval: +trainer.val_check_interval=... adds it to the",
        ),
        (["train", "loss=null"], "loss=null: a config group takes the name of one of its configs"),
        (["train", "data=[1,2]"], "data=[1,2]: a config group takes the name of one of its configs"),
        (["train", "callbacks=[{a: 1}]"], "callbacks=[{a: 1}]: a config group takes the name of one of its configs"),
        (["train", *RUN, "output_dir=elsewhere"], "output_dir=elsewhere: a run has one folder, hydra.run.dir=FOLDER"),
        (["train", *RUN, "callbacks.checkpoints.monitor=[1]"], "callbacks.checkpoints.monitor=[1]: the name of a"),
        (["train", *RUN, "metrics.extractor=inception", "metrics.inception_weights=5"], "weights=5: a file, or null"),
        (["train", *RUN, "model.generator.negative_slope=no"], "negative_slope=no: a number, 0 or more"),
        (["train", *RUN, "model.discriminator.dropout=true"], "dropout=True: a number, 0 or more, 1 or less"),
        (["train", "ckpt_path=nowhere.ckpt"], "ckpt_path=nowhere.ckpt: there is no file"),
        (["train", "ckpt_path=last"], "no run with a checkpoint"),
        (["train", *RUN, "model.num_classes=1"], "model.num_classes=1: a whole number, 2 or more, or null"),
        (["train", *RUN, "data.batch_size=70000"], "data.batch_size=70000"),
        (["train", *RUN, "data.val_size=5000"], "data.val_size=5000"),
        (["train", *RUN, "trainer.accelerator=npu"], "trainer.accelerator=npu: auto, cpu, gpu, cuda, mps"),
        (["train", *RUN, "trainer.precision=fp8"], "trainer.precision=fp8: auto, 32-true, "),
        (["train", *RUN, "model.loss._target_=gan.losses.Hing"], "Hinge"),
        (["train", *RUN, "model.loss._target_=os.system"], "model.loss"),
        (["train", *RUN, "trainer.precision=16-mixed"], "trainer.precision=16-mixed: this processor"),
        (["train", *RUN, "max_images=0"], "max_images=0: "),
        (["train", "model=conditional", "data=digits", "max_images=0"], "max_images=0: a whole number, 1 or"),
        (["train", "model=conditional", "data=digits", "max_images=abc"], "max_images=abc: a whole number"),
        (["train", *RUN, "seed=-1"], "seed=-1"),
        (["train", *RUN, "model.generator_optimizer.lr=-1"], "model.generator_optimizer.lr=-1: a number, 0 or more"),
        (["train", *RUN, "model.generator_optimizer.lr=abc"], "model.generator_optimizer.lr=abc: a number, 0 or more"),
        (
            ["train", *RUN, "model.generator_optimizer.betas=[0]"],
            "index out of range; it was given {'lr': 0.0002, 'b",
        ),
        (["train", *RUN, "model.generator_schedule=cosine"], "model.generator_schedule=cosine: {_target_"),
        (
            ["train", *RUN, "model.discriminator_steps=1.5"],
            "model.discriminator_steps=1.5: a whole number, 1 or more",
        ),
        (["train", *RUN, "model.ema_half_life=abc"], "model.ema_half_life=abc: a number, 0 or more"),
        (["train", *RUN, "model.generator=5"], "model.generator=5: {_target_"),
        (["train", *RUN, "data.source=5"], "data.source=5: {_target_: gan.data.MNIST}"),
        (["train", *RUN, "data.source._target_=gan.data.Fashion"], "data.source: Error loading 'gan.data.Fashion'"),
        (["train", *RUN, "data.stratified_batches=maybe"], "data.stratified_batches=maybe: true or false"),
        (["train", *RUN, "trainer.devices=0"], "trainer.devices=0: how many"),
        (["train", *RUN, "model=null"], "gan train: model=null: a config group takes the name of one of its configs"),
        (["train", *RUN, "model.one_stage=maybe"], "model.one_stage=maybe: true or false"),
        (["train", *RUN, "model.penalties=5"], "model.penalties=5: {name"),
        (["train", *RUN, "model.penalties.r1=5"], "model.penalties.r1=5: {_target_"),
        (["train", *RUN, "model.penalties.r1.every=2.5"], "model.penalties.r1.every=2.5: a whole number, 1 or more"),
        (["train", *RUN, "model.penalties.r1.weight=abc"], "model.penalties.r1.weight=abc: a number, 0 or more"),
        (["train", *RUN, "trainer.max_epochs=1.5"], "trainer.max_epochs=1.5: a whole number, -1 or more, or null"),
        (["train", *RUN, "trainer.max_time=8"], "trainer.max_time=8: days:hours:minutes:seconds"),
        (["train", *RUN, "trainer.max_time=5 minutes"], "trainer.max_time=5 minutes: days:hours:minutes:seconds"),
        (["train", *RUN, "trainer.limit_train_batches=abc"], "trainer.limit_train_batches=abc: a number, above 0"),
        (["train", *RUN, "max_images=true"], "max_images=True: a whole number"),
        (["train", *RUN, "+callbacks.samples.every_n_epochs=0"], "callbacks.samples"),
        (["evaluate", "ckpt=[]"], "ckpt=[]"),
        (["evaluate", "ckpt=nowhere.ckpt"], "ckpt=nowhere.ckpt: there is no file"),
        (["generate", "ckpt=nowhere.ckpt"], "ckpt=nowhere.ckpt: there is no file"),
        (["generate", "ckpt=last"], "no run with a checkpoint"),
        (["generate", "mode=wlak"], "mode=wlak: sample, class_sweep, interpolate, walk"),
        (["generate", "format=jpg"], "format=jpg: grid, gif, png, npy, npz, idx"),
        (["generate", "output=a.jpg"], "output=a.jpg: with format=grid its name ends in .png"),
        (["generate", "num_images=0"], "num_images=0: a whole number, 1 or more"),
        (["generate", "first=-1"], "first=-1: a whole number, 0 or more"),
        (["generate", "first=5", "mode=walk"], "first=5: mode=walk has no use for it"),
        (["generate", "steps=1"], "steps=1: a whole number, 2 or more"),
        (["generate", "seeds=5-1"], "seeds=5-1: a number, a range"),
        (["generate", "seeds=[1,-2]"], "seeds=[1, -2]: a number, a range"),
        (["generate", "seeds=0,1"], "seeds=0,1"),
        (["generate", "digits=[3.5]"], "digits=[3.5]: a list such as [3,1,4], all, or null"),
        (["generate", "truncation=0"], "truncation=0: a number, above 0, or null"),
        (["generate", "select=eye"], "select=eye: classifier, or null"),
        (["generate", "shard_size=10"], "shard_size=10: only format=npz and format=idx"),
        (["generate", "overwrite=maybe"], "overwrite=maybe: true or false"),
        (["generate", "fromat=npz"], "fromat"),
        (["train", *RUN, "+model.depth=3"], "depth"),
        (["train", "data.download=false"], "data=digits"),
        (["train", *RUN, "hydra.searchpath=[/nowhere]"], "hydra.searchpath: /nowhere is not available."),
        (["train", *RUN, "+hydra.job.env_copy=[GAN_NOT_SET]"], "hydra.job.env_copy: the environment variable GAN_NOT_"),
        (["train", *RUN, "~hydra.job_logging.root"], "hydra.job_logging and hydra.hydra_logging: root is missing"),
        (["train", "model=[a"], "model=[a"),
    ],
)
def test_a_mistake_is_one_line(gan, tmp_path, arguments, words):
    code, _, errors = gan(*arguments)
    assert code == 2
    assert words in errors
    assert len(errors.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("images*"))


@pytest.mark.skipif(cpu_has_bf16(), reason="this processor has bf16")
def test_bf16_is_refused_where_it_is_slow(gan):
    code, _, errors = gan("train", *RUN, "trainer.precision=bf16-mixed")
    assert code == 2
    assert "trainer.precision=bf16-mixed: this processor has no such arithmetic" in errors


@pytest.mark.parametrize(("value", "wanted"), [("0", False), ("", False), ("1", True)])
def test_only_1_asks_for_the_traceback(monkeypatch, value, wanted):
    monkeypatch.setenv("HYDRA_FULL_ERROR", value)
    with pytest.raises(UserError if wanted else SystemExit), mistakes_in_one_line("train"):
        raise UserError("lr=3: no such key")


@pytest.mark.parametrize("command", ["train", "doctor", "sweeps"])
def test_a_deleted_folder_is_one_line(gan, tmp_path, monkeypatch, command):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    code, out, errors = gan(command)
    monkeypatch.chdir(tmp_path)
    line = f"gan {command}: the folder that you are in was deleted; cd to one that exists\n"
    assert (code, out, errors) == (2, "", line)


def test_an_interrupted_run_is_one_line(gan, monkeypatch):
    def interrupt(cfg):
        raise KeyboardInterrupt

    monkeypatch.setattr("gan.generate.command.generate", interrupt)
    assert gan("generate") == (130, "", "gan generate: interrupted\n")


def failing_cleanup(error):
    try:
        raise error
    finally:
        {}["half done"]


@pytest.mark.parametrize(("stop", "status"), [(KeyboardInterrupt(), 130), (Stopped(143), 143)])
def test_an_error_of_what_a_signal_has_interrupted_is_not_told(gan, monkeypatch, stop, status):
    monkeypatch.setattr("gan.generate.command.generate", lambda cfg: failing_cleanup(stop))
    line = "gan generate: interrupted\n" if status == 130 else ""
    assert gan("generate") == (status, "", line)


def test_an_interrupt_while_the_program_is_imported_is_one_line(gan, monkeypatch):
    class Interrupt:
        def find_spec(self, name, *_):
            if name == "gan.config.environment":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "gan.config.environment")
    monkeypatch.setattr(sys, "meta_path", [Interrupt(), *sys.meta_path])
    assert gan("train") == (130, "", "gan train: interrupted\n")


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        (["generate", "digits=[3]"], "train"),
        (["evaluate", "ckpt=last"], "train"),
        (["serve"], "train"),
        (["train", "ckpt_path=last"], "train"),
        (["sweeps"], "multirun"),
    ],
)
def test_a_folder_that_may_not_be_read_is_one_line(gan, tmp_path, monkeypatch, arguments, folder):
    def iterdir(path):
        if path.name == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    read = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", iterdir)
    code, _, err = gan(*arguments)
    assert code == 2
    model = "model default: " if arguments[0] == "serve" else ""  # a service may have several
    line = err.splitlines()[-1]
    assert line.startswith(f"gan {arguments[0]}: {model}{tmp_path}/outputs/{folder}: Permission denied for")


@pytest.mark.process
@pytest.mark.parametrize(
    "arguments", [("evaluate", "data=digits"), ("generate", "output=new/a.png"), ("export", "output=new/a.onnx")]
)
def test_a_refusal_of_a_process_is_one_line_and_writes_nothing(python, tmp_path, arguments):
    """Here the checkpoint is damaged, which is seen late: torch is there, and logging is set up."""
    (tmp_path / "a.ckpt").write_text("no checkpoint")
    line = [python, "-m", "gan", *arguments, "ckpt=a.ckpt"]
    ended = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1), ended.stderr
    assert ended.stderr.startswith(f"gan {arguments[0]}: ckpt=")
    assert [path.name for path in tmp_path.iterdir()] == ["a.ckpt"]


@pytest.mark.parametrize("name", ["SLURM_PROCID", "LOCAL_RANK", "RANK"])
def test_a_process_of_its_own_is_never_silent(gan, monkeypatch, name):
    monkeypatch.setenv(name, "3")
    monkeypatch.setenv("SLURM_NTASKS", "4")
    assert gan("generate", "digits=77", "num_images=0")[2].count("\n") == 1
    assert gan("train", "modl=3")[2].count("\n") == 1


@pytest.mark.parametrize(("local_rank", "lines"), [("1", 0), ("0", 1)])
def test_of_one_run_the_first_process_of_each_machine_tells_a_mistake(gan, monkeypatch, local_rank, lines):
    for name, value in {"LOCAL_RANK": local_rank, "RANK": "3", "WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    code, out, err = gan("train", "modl=3")
    assert (code, out, err.count("\n")) == (2, "", lines)


def test_a_connection_that_breaks_is_told_while_somebody_reads(gan, monkeypatch):
    def broken(cfg):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("gan.sweeps.command.sweeps", broken)
    code, _, err = gan("sweeps")
    assert (code, err.count("\n"), "Broken pipe" in err) == (2, 1, True)


@pytest.mark.process
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["--help", "train --help model", "generate 'ckpt={ckpt}' num_images=1 format=png"])
def test_a_reader_that_leaves_stops_no_work_and_gets_no_traceback(
    python, trained, tmp_path, monkeypatch, command, unbuffered
):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    command = command.format(ckpt=trained("unconditional") / "checkpoints/last.ckpt")
    line = f"'{python}' -m gan {command} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len([*tmp_path.rglob("*.png")]) == ("generate" in command)
