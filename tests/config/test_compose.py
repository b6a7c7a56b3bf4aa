"""Composing from Python, and the line for a value that Hydra's grammar refuses."""

import re
import shlex

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra._internal import config_loader_impl as hydra_loader
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf

from gan.config import compose, explain, settle_output_dir

VALUES = ("~/mnist", "ü", "a#b", "a&b", "it's", "a!b", "(x)", "a;b", "lr=0.1/last.ckpt", "a,b=c", "$HOME/(x)")


@pytest.mark.parametrize("value", VALUES)
def test_the_line_shows_the_very_value_in_quotes(value):
    with pytest.raises(HydraException) as raised:
        compose("train", [f"ckpt_path={value}"])
    before, _, pasted = explain(raised.value).partition(": needs quotes: ")
    assert before == f"ckpt_path={value}"
    assert compose("train", shlex.split(pasted)).ckpt_path == value


def test_the_entries_of_a_list_are_quoted():
    with pytest.raises(HydraException) as raised:
        compose("evaluate", ["ckpt=[lr=0.1/a.ckpt,b.ckpt]"])
    (pasted,) = shlex.split(explain(raised.value).partition(": needs quotes: ")[2])
    assert compose("evaluate", [pasted]).ckpt == ["lr=0.1/a.ckpt", "b.ckpt"]


def test_several_values_are_a_text_a_list_or_a_sweep():
    with pytest.raises(HydraException) as raised:
        compose("evaluate", ["ckpt=a,b.ckpt"])
    text, several = re.fullmatch(
        r"ckpt=a,b\.ckpt: for a text: (.*); for a list: (.*); for a sweep over the values: gan train --multirun",
        explain(raised.value),
    ).groups()
    assert compose("evaluate", shlex.split(text)).ckpt == "a,b.ckpt"
    assert compose("evaluate", shlex.split(several)).ckpt == ["a", "b.ckpt"]


def test_a_folder_for_output_may_be_below_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    cfg = compose("train", ["output_dir='~/runs/a'"])
    assert str(settle_output_dir(cfg, "train")) == cfg.output_dir == f"{tmp_path}/runs/a"


def test_a_program_that_uses_hydra_itself_keeps_its_state(tmp_path):
    (tmp_path / "own.yaml").write_text("a: 1\n")
    with initialize_config_dir(str(tmp_path), job_name="own", version_base="1.1"):
        before = GlobalHydra.instance()
        assert compose("train", ["seed=3"]).seed == 3
        assert GlobalHydra.instance() is before
        assert hydra_compose("own").a == 1


CHANGES = (
    ["model=conditional", "model.latent_dim=8", "output_dir='/a b'", "model.generator_optimizer.betas=[0.1,0.2]"],
    ["experiment=quick", "+trainer.fast_dev_run=true", "seed=3", "~callbacks.plots", "loss=hinge", "max_images=null"],
    [
        "model.latent_dim=4",
        "model.penalties.r1.weight=0.1",
        "model.latent_dim=8",
        "model.generator_schedule={end_factor: 0.5}",
    ],
)


@pytest.mark.parametrize("overrides", CHANGES)
def test_files_that_are_composed_once_are_the_same_each_time(overrides, monkeypatch):
    compose("train", [*overrides, "model.latent_dim=16"])  # leaves no trace in the next
    found = OmegaConf.to_yaml(compose("train", overrides))
    monkeypatch.setattr(hydra_loader, "create_defaults_list", hydra_loader.create_defaults_list.__wrapped__)
    merge = hydra_loader.ConfigLoaderImpl._compose_config_from_defaults_list.__wrapped__
    monkeypatch.setattr(hydra_loader.ConfigLoaderImpl, "_compose_config_from_defaults_list", merge)
    assert OmegaConf.to_yaml(compose("train", overrides)) == found
