"""The files that a run leaves at its end, its table with the floor, and what can be done next."""

import json
import logging
import shlex
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from tiny_runs import EXTENSION, last_checkpoint

from gan.callbacks.report import next_commands, results_table
from gan.config import compose
from gan.data import Digits, FashionMNIST
from gan.errors import UserError
from gan.export import export
from gan.inference import DigitGenerator
from gan.module import GAN


class Clothes(FashionMNIST):
    name = "clothes"


@pytest.fixture
def shared_run(run, tmp_path):
    """The folder of a run whose networks share tensors between names."""
    run("model=shared_layers", narrow=False, config_dirs=[EXTENSION / "my_conf"])
    return tmp_path / "run"


def test_networks_that_share_tensors_are_written_and_read(shared_run, tmp_path):
    assert (shared_run / "summary.json").is_file()
    trust = ["shared_layers"]
    last = DigitGenerator.open(shared_run / "checkpoints" / "last.ckpt", device="cpu", trust=trust)
    final = DigitGenerator.open(shared_run / "generator.safetensors", device="cpu", trust=trust)
    assert torch.equal(final.generate(20, seed=0), last.generate(20, seed=0))
    assert final.info() == last.info()
    fixed = [f"ckpt='{shared_run}/generator.safetensors'", "trust=[shared_layers]", f"output_dir='{tmp_path}'"]
    again = DigitGenerator.open(export(compose("export", fixed)), device="cpu", trust=trust)
    assert torch.equal(again.generate(20, seed=0), last.generate(20, seed=0))
    module = GAN.load_from_checkpoint(shared_run / "checkpoints" / "last.ckpt", trust=trust)
    with safe_open(shared_run / "discriminator.safetensors", framework="pt") as opened:
        assert opened.metadata()["format"] == "pt"
        assert {name: opened.get_tensor(name).shape for name in opened.keys()} == {  # noqa: SIM118 (not a dict)
            name: value.shape for name, value in module.discriminator.state_dict().items()
        }


def test_a_discriminator_is_refused_in_one_line(trained):
    with pytest.raises(UserError, match=r"ckpt=.*: a discriminator, .* is in generator\.safetensors") as raised:
        DigitGenerator.open(trained("conditional") / "discriminator.safetensors")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), UserError("it has no such form")])
def test_a_file_that_cannot_be_written_costs_a_warning(run, tmp_path, monkeypatch, caplog, error):
    def fail(*arguments):
        raise error

    monkeypatch.setattr("gan.callbacks.report.write_safetensors", fail)
    with caplog.at_level(logging.WARNING, logger="gan"):
        run()
    (warning,) = (record.message for record in caplog.records if "safetensors" in record.message)
    reason = getattr(error, "strerror", None) or str(error)
    assert warning == f"{tmp_path}/run/generator.safetensors: not written ({reason}); the run continues without it"
    assert json.loads(Path(tmp_path, "run", "summary.json").read_text(encoding="utf-8"))["images_seen"] == 64


def test_the_text_of_the_networks_has_sizes_and_no_empty_columns(trained):
    text = (trained("conditional") / "networks.txt").read_text()
    assert "FLOPs" not in text
    assert "parameters: generator " in text
    assert text.splitlines()[1].startswith("generator")


def test_the_minutes_of_a_resumed_run_are_those_of_all_its_parts(run, begun, tmp_path):
    state = last_checkpoint(begun)
    (name,) = (name for name in state["callbacks"] if "RunReport" in name)
    assert state["callbacks"][name]["minutes"] > 0
    state["callbacks"][name]["minutes"] = 7.0
    torch.save(state, tmp_path / "run" / "checkpoints" / "last.ckpt")
    run("ckpt_path=auto", "trainer.max_epochs=2")
    assert 7 <= json.loads((tmp_path / "run" / "summary.json").read_text())["minutes"] < 8


def checkpoints(run, **files):
    (run / "checkpoints").mkdir(parents=True)
    for name, (images, fid) in files.items():
        read = {"images_seen": images, "metrics": {"val/fid_mnist": fid, "train/loss_generator": 1.0}}
        (run / "checkpoints" / f"{name}.json").write_text(json.dumps(read))
        (run / "checkpoints" / f"{name}.ckpt").touch()
    return run


def test_the_table_has_the_last_the_best_and_the_floor(tmp_path):
    run = checkpoints(tmp_path / "run", last=(3000, 2.5), best=(2000, 1.25))
    assert results_table(run, {"val/fid_mnist": 0.03125}, {"val/fid_mnist": "lower"}).splitlines() == [
        "measure          last  best, at 2,000 images  floor",
        "val/fid_mnist ↓  2.5   1.25                   0.03125",
    ]


def test_a_best_checkpoint_that_is_the_last_has_no_column_and_an_unknown_floor_neither(tmp_path):
    run = checkpoints(tmp_path / "run", last=(3000, 2.5), best=(3000, 2.5))
    assert results_table(run, {}, {}).splitlines() == ["measure        last", "val/fid_mnist  2.5"]
    assert results_table(tmp_path / "nothing", {}, {}) == ""


def test_the_next_commands_name_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = checkpoints(tmp_path / "outputs" / "train" / "a", last=(3000, 2.5))
    assert next_commands(run, Digits(), 10, {}) == [
        "gan evaluate ckpt=last",
        "gan generate ckpt=last 'digits=[3,1,4]'",
        "gan serve ckpt=last",
    ]
    other = checkpoints(tmp_path / "else where", last=(3000, 2.5))
    named = {"generator": {"_target_": "my_gan.MLP"}, "loss": {"_target_": "gan.losses.Hinge"}}
    for command in next_commands(other, FashionMNIST(), None, named):
        words = shlex.split(command)
        assert words[2] == f'ckpt="{other}/checkpoints/last.ckpt"'
        assert words[3] == "trust=[my_gan]"
    assert words[:2] == ["gan", "serve"]
    evaluate, generate, _ = next_commands(other, FashionMNIST(), None, named)
    assert shlex.split(evaluate)[-1] == "trust=[my_gan]", "the data has a classifier of its own"
    assert generate.endswith("num_images=64")
    evaluate, *_ = next_commands(other, Clothes(), None, {})
    assert shlex.split(evaluate)[3:] == [f"trust=[{__name__.partition('.')[0]}]", "metrics.extractor=inception"]


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_a_run_ends_with_its_floor_and_commands_that_work(gan, tmp_path):
    small = ("data=digits", "trainer.limit_train_batches=1", "trainer.max_epochs=1", "hardware=cpu", "~callbacks.plots")
    narrow = ("model=conditional", "model.generator.channels=[8,8,8]", "model.discriminator.channels=[8,8,8,8]")
    code, out, err = gan("train", *small, *narrow)
    assert code == 0, err
    (run,) = (tmp_path / "outputs" / "train").iterdir()
    summary = json.loads((run / "summary.json").read_text())
    assert 0 < summary["floor"]["val/fid_mnist"] < summary["metrics"]["val/fid_mnist"]
    (row,) = (line.split() for line in out.splitlines() if line.startswith("val/fid_mnist"))
    assert float(row[-1]) == pytest.approx(summary["floor"]["val/fid_mnist"], rel=1e-3)
    evaluate, generate, serve = (line.strip() for line in out.partition("next:\n")[2].splitlines())
    assert serve == "gan serve ckpt=last"
    assert gan(*shlex.split(generate)[1:])[0] == 0
    assert gan(*shlex.split(evaluate)[1:], "num_samples=100", "metrics.measures=[class_balance]")[0] == 0
    assert Path(tmp_path, "outputs", "evaluate").is_dir()


def test_a_run_without_a_checkpoint_names_no_command_that_needs_one(run, caplog):
    caplog.set_level("INFO", "gan")
    run("trainer.max_epochs=0")
    assert any(line.startswith("done") for line in caplog.messages)
    assert not any("next:" in line for line in caplog.messages)


def test_the_floor_is_unknown_where_nothing_is_held_out(run, tmp_path):
    run("data.val_size=0")
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["floor"] == {}
