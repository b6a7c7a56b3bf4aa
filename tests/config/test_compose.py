"""Composing from Python."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra._internal import config_loader_impl as hydra_loader
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from gan.config import compose, settle_output_dir
from gan.errors import UserError


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


def test_a_missing_folder_of_configs_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"^config_dirs=/nowhere: there is no folder /nowhere$"):
        compose("train", config_dirs=["/nowhere"])


def test_threads_may_compose_at_the_same_time():
    with ThreadPoolExecutor(6) as threads:
        configs = threads.map(lambda seed: compose("train", ["experiment=quick", f"seed={seed}"]), range(6))
        assert [cfg.seed for cfg in configs] == [*range(6)]


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


@pytest.mark.parametrize("name", ["my conf (1)", "it's", "l=r", "a,b", "ü{x}$y"])
def test_a_folder_of_configs_may_have_any_name(tmp_path, name):
    (tmp_path / name / "experiment").mkdir(parents=True)
    (tmp_path / name / "experiment" / "mine.yaml").write_text("# @package _global_\nseed: 7\n")
    assert compose("train", ["experiment=mine"], [tmp_path / name]).seed == 7
