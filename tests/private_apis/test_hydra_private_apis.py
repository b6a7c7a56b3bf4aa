"""What this project uses of Hydra, OmegaConf and Optuna beyond their documented interface."""

import inspect

import pytest
from hydra._internal.callbacks import Callbacks
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, ValueType
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobRuntime, run_job, setup_globals
from hydra.errors import ConfigCompositionException, InstantiationException
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.utils import instantiate
from hydra.version import VersionBase
from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError

from gan.config import compose
from gan.config.hydra_flags import parser


def test_optunas_trials_can_be_opened_again_and_carry_the_notes_of_pruners():
    import optuna

    study = optuna.create_study()
    study.ask()
    (trial,) = study.get_trials()
    optuna.trial.Trial(study, trial._trial_id).report(2.0, step=0)
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, min_early_stopping_rate=0)
    study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING, intermediate_values={1: 3.0}))
    pruner.prune(study, study.get_trials()[1])
    first, second = study.get_trials()
    assert (first.intermediate_values, second.system_attrs) == ({0: 2.0}, {"completed_rung_0": 3.0})


def test_hydra_finds_launchers_and_sweepers_in_its_namespace():
    found = {cls.__name__ for base in (Launcher, Sweeper) for cls in Plugins.instance().discover(base)}
    assert {"ParallelLauncher", "SlurmLauncher", "GridSweeper", "OptunaSweeper"} <= found
    assert list(inspect.signature(Plugins.instance().instantiate_launcher).parameters) == [
        "hydra_context",
        "task_function",
        "config",
    ]


def test_hydra_reads_the_parameters_of_a_sweep():
    given = ["a=1,2", "b=range(1,7,2)", "c=tag(log,interval(1e-4,1e-2))", "d=5"]
    a, b, c, d = OverridesParser.create(config_loader=None).parse_overrides(given)
    assert [override.get_key_element() for override in (a, b, c, d)] == ["a", "b", "c", "d"]
    assert [override.is_sweep_override() for override in (a, b, c, d)] == [True, True, True, False]
    assert (list(a.sweep_string_iterator()), a.input_line) == (["1", "2"], "a=1,2")
    assert (b.value_type, list(b.sweep_iterator()), b.value().step) == (ValueType.RANGE_SWEEP, [1, 3, 5], 2)
    assert isinstance(c.value(), IntervalSweep)
    assert (c.value().start, c.value().end, c.value().tags) == (1e-4, 1e-2, {"log"})


def test_hydra_runs_a_job_of_a_sweep_in_any_process():
    taken = inspect.signature(run_job).parameters
    assert {"hydra_context", "task_function", "config", "job_dir_key", "job_subdir_key"} <= taken.keys()
    assert not inspect.signature(setup_globals).parameters
    assert list(inspect.signature(ConfigLoader.load_sweep_config).parameters) == [
        "self",
        "master_config",
        "sweep_overrides",
    ]


def test_hydra_keeps_the_state_of_a_process_in_singletons():
    for kind in (GlobalHydra, HydraConfig, JobRuntime, VersionBase):
        assert kind.instance() is Singleton._instances[kind]


def test_hydras_own_entry_point_is_made_of_parts():
    assert list(inspect.signature(create_config_search_path).parameters) == ["search_path_dir"]
    assert list(inspect.signature(Hydra.create_main_hydra2).parameters) == ["task_name", "config_search_path"]
    taken = {
        "compose_config": ["config_name", "overrides", "run_mode"],
        "multirun": ["config_name", "task_function", "overrides"],
        "show_cfg": ["config_name", "overrides", "cfg_type", "package", "resolve"],
        "show_info": ["info", "config_name", "overrides"],
        "shell_completion": ["config_name", "overrides"],
    }
    for name, parameters in taken.items():
        found = list(inspect.signature(getattr(Hydra, name)).parameters)
        assert found[1 : len(parameters) + 1] == parameters, name
    composed = inspect.signature(Hydra.compose_config).parameters
    assert {"validate_sweep_overrides", "with_log_configuration"} <= composed.keys()
    given = parser().parse_args(["--multirun", "--config-dir", "c", "a=1"])
    assert {"overrides", "cfg", "info", "package", "resolve", "shell_completion", "config_path"} <= vars(given).keys()
    assert (given.multirun, given.config_dir, given.overrides) == (True, "c", ["a=1"])


def test_hydras_callbacks_of_a_run_take_what_is_handed_to_them():
    callbacks = Callbacks(OmegaConf.create({"hydra": {"callbacks": {}}}))
    callbacks.on_run_start(config=None, config_name="train")
    callbacks.on_job_start(config=None, task_function=None)
    callbacks.on_job_end(config=None, job_return=None)
    callbacks.on_run_end(config=None, config_name="train", job_return=None)


def test_hydras_errors_end_in_the_parts_that_are_cut_off():
    with pytest.raises(InstantiationException) as error:
        instantiate({"part": {"_target_": "builtins.int", "_args_": ["x"]}})
    assert str(error.value).endswith("\nfull_key: part")
    assert isinstance(error.value.__cause__, ValueError)
    with pytest.raises(ConfigCompositionException) as error:
        compose("train", ["model=dcgen"])
    assert "Config search path" in str(error.value)


def test_omegaconfs_errors_know_the_key_and_its_neighbours():
    config = OmegaConf.create({"data": {"dir": "x", "seed": 0}})
    OmegaConf.set_struct(config, True)
    with pytest.raises(ConfigAttributeError) as error:
        OmegaConf.update(config, "data.sed", 1)
    assert (error.value.key, error.value.full_key, list(error.value.parent_node)) == (
        "sed",
        "data.sed",
        ["dir", "seed"],
    )
