"""The files that a run leaves at its end."""

import json
import logging
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from tiny_runs import EXTENSION, last_checkpoint

from gan.config import compose
from gan.errors import UserError
from gan.export import export
from gan.inference import DigitGenerator
from gan.module import GAN


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
    assert warning == f"{tmp_path}/run/generator.safetensors: not written ({reason}); the training is not affected"
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
