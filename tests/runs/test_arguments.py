"""What a run was started with."""

import pytest
from omegaconf import OmegaConf

from gan.runs.arguments import run_arguments, training_command


@pytest.fixture
def started(tmp_path):
    """A function from the overrides of a run, Hydra's own first, to its folder."""

    def run(hydra, overrides):
        (tmp_path / ".hydra").mkdir()
        OmegaConf.save(OmegaConf.create(overrides), tmp_path / ".hydra" / "overrides.yaml")
        OmegaConf.save({"hydra": {"overrides": {"hydra": hydra}}}, tmp_path / ".hydra" / "hydra.yaml")
        return tmp_path

    return run


def test_a_run_brings_its_settings_without_its_folder_and_its_sweep(started):
    hydra = ["hydra.run.dir=x", "hydra.mode=RUN", "hydra/launcher=joblib", "hydra.verbose=true", "hydra.running=1"]
    run = started(hydra, ["seed=3", "sweep_name=a", "++max_images=64", "lr=${seed}"])
    kept = ["hydra.verbose=true", "hydra.running=1", "seed=3", "++max_images=64", "lr=${seed}"]
    assert run_arguments(run) == kept
    assert run_arguments(run, leave_out={"seed", "max_images"}) == [kept[0], kept[1], kept[4]]


def test_the_command_of_a_run_is_quoted_for_a_shell(started, tmp_path):
    assert training_command(tmp_path) is None  # it was not the command line that started it
    run = started([], ["model=conditional", "logger=[csv,tensorboard]", "init_from=a", "ckpt_path=auto"])
    assert training_command(run) == "gan train model=conditional 'logger=[csv,tensorboard]' init_from=a"
