"""What this project uses of other libraries than Lightning beyond their documented interface.

pyproject.toml bounds each of these libraries above. A test here fails when one of them changes. To raise a bound,
install the new version, run this file, and enter the version here.

library         tested with  what                                        used for
--------------  -----------  ------------------------------------------  ----------------------------------------
torch           2.15.0       Optimizer._step_supports_amp_scaling        clipping with a fused optimizer in fp16
                             nn.modules.batchnorm._BatchNorm             refusing one_stage with batch normalization
                             SummaryWriter.file_writer, summary.hparams  TensorBoard: resuming, HParams at the end
torchvision     0.29.2       datasets.MNIST.mirrors, .resources          addresses and checksums of the data
torch-fidelity  0.4.0        FeatureExtractorInceptionV3 and its URL     the Inception features and their weights
hydra-core      1.3.8        core.plugins, the namespace hydra_plugins   this project's launchers and sweepers
                             core.override_parser                        the parameters of a sweep
                             core.utils.run_job, setup_globals           a job in a process of its own
                             _internal.hydra.Hydra and its commands      a refused command leaves nothing behind
                             the texts of its errors                     errors in one line
optuna          5.0.0        FrozenTrial._trial_id, .system_attrs        a job's values and its pruner's notes
omegaconf       2.3.1        an error's key, full_key, parent_node       a misspelt key and its neighbours
libgomp         torch's      short spins with more threads than cores    threads that sleep beside busy processes
uvicorn         0.54.0       HttpToolsProtocol, its cycle and its flow   limits on headers, the parser's errors
                             ProxyHeadersMiddleware.trusted_hosts        X-Forwarded-Prefix of trusted proxies
                             Server.handle_exit as SIGTERM's handler     draining before the end
                             supervisors.Multiprocess                    several workers
"""

import asyncio
import inspect
import re
import signal
import subprocess
import sys
from itertools import islice

import joblib
import optuna
import pytest
import torch
from hydra._internal.callbacks import Callbacks
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, ValueType
from hydra.core.plugins import Plugins
from hydra.core.utils import run_job, setup_globals
from hydra.errors import ConfigCompositionException, InstantiationException
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.utils import instantiate
from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError
from optuna.trial import TrialState
from torch import nn

from gan.config import compose
from gan.data.idx import ALL_NAMES


def test_torch_marks_fused_optimizers_that_unscale_gradients_themselves():
    parameters = [nn.Parameter(torch.zeros(1))]
    assert torch.optim.Adam(parameters, fused=True)._step_supports_amp_scaling
    assert not getattr(torch.optim.Adam(parameters), "_step_supports_amp_scaling", False)


@pytest.mark.parametrize("layer", [nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm])
def test_torchs_batch_normalizations_have_one_base_class(layer):
    assert issubclass(layer, nn.modules.batchnorm._BatchNorm)
    assert not issubclass(nn.GroupNorm, nn.modules.batchnorm._BatchNorm)


def test_torchs_summary_writer_takes_events_and_summaries(tmp_path):
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog
    from torch.utils.tensorboard import SummaryWriter
    from torch.utils.tensorboard.summary import hparams

    writer = SummaryWriter(str(tmp_path))
    for step in (1, 2, 3):
        writer.add_scalar("loss", float(step), step)
    writer.file_writer.add_event(Event(step=3, session_log=SessionLog(status=SessionLog.START)))
    for summary in hparams({"lr": 0.1}, {"loss": 2.0}):
        writer.file_writer.add_summary(summary)
    writer.close()
    events = accumulators.EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2]
    assert events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content


def test_torchvision_has_the_addresses_and_checksums_of_the_data():
    from torchvision.datasets import MNIST, FashionMNIST

    for source in (MNIST, FashionMNIST):
        assert all(mirror.startswith("http") for mirror in source.mirrors)
        assert [name for name, _ in source.resources] == [f"{name}.gz" for name in ALL_NAMES]
        assert all(len(bytes.fromhex(md5)) == 16 for _, md5 in source.resources)


def test_optunas_trials_can_be_opened_again_and_carry_the_notes_of_pruners():
    study = optuna.create_study()
    study.ask()
    (trial,) = study.get_trials()
    optuna.trial.Trial(study, trial._trial_id).report(2.0, step=0)
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, min_early_stopping_rate=0)
    study.add_trial(optuna.trial.create_trial(state=TrialState.RUNNING, intermediate_values={1: 3.0}))
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
    given = get_args_parser().parse_args(["--multirun", "--config-dir", "c", "a=1"])
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


def test_uvicorns_protocol_calls_what_is_extended_and_has_what_is_called():
    httptools = pytest.importorskip("uvicorn.protocols.http.httptools_impl")
    import uvicorn

    seen = []

    class Protocol(httptools.HttpToolsProtocol):
        def connection_made(self, transport):
            super().connection_made(transport)
            seen.append("connection_made")

        def on_message_begin(self):
            super().on_message_begin()
            seen.append("on_message_begin")

        def on_headers_complete(self):
            super().on_headers_complete()
            seen.append("on_headers_complete")

        def data_received(self, data):
            super().data_received(data)
            seen.append("data_received")
            before = (self.cycle.response_started, self.cycle.response_complete, self.cycle.more_body)
            assert before == (False, False, False)  # the request has no body, and its task runs later
            assert (self.cycle.keep_alive, self.cycle.disconnected, self.timeout_keep_alive) == (True, False, 1)
            assert isinstance(self.cycle.message_event, asyncio.Event)
            assert not self.flow.resume_reading()
            assert (self.url, self.headers) == (b"/", [(b"host", b"x")])
            assert not self.parser.should_upgrade()
            assert not self._unset_keepalive_if_required()
            assert all(isinstance(each, bytes) for pair in self.server_state.default_headers for each in pair)

        def connection_lost(self, exc):
            super().connection_lost(exc)
            seen.append("connection_lost")

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def exchanged():
        config = uvicorn.Config(app, http=Protocol, port=0, lifespan="off", timeout_keep_alive=1, log_config=None)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        assert signal.getsignal(signal.SIGTERM) == server.handle_exit
        reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 204")
        await reader.read()
        writer.close()
        server.should_exit = True
        await serving

    asyncio.run(exchanged())
    assert list(islice(seen, 5)) == [
        "connection_made",
        "on_message_begin",
        "on_headers_complete",
        "data_received",
        "connection_lost",
    ]


def test_uvicorns_proxy_headers_know_who_is_trusted():
    proxies = pytest.importorskip("uvicorn.middleware.proxy_headers")
    trusted = proxies.ProxyHeadersMiddleware(None, "10.0.0.0/8").trusted_hosts
    assert [host in trusted for host in ("10.1.2.3", "11.1.2.3", None)] == [True, False, False]
    assert None in proxies.ProxyHeadersMiddleware(None, "*").trusted_hosts


def test_uvicorns_supervisor_takes_a_config_and_sockets():
    supervisors = pytest.importorskip("uvicorn.supervisors")
    assert list(inspect.signature(supervisors.Multiprocess.__init__).parameters)[:3] == ["self", "config", "sockets"]
    assert callable(supervisors.Multiprocess.run)


def test_torch_fidelity_names_its_weights_by_their_hash():
    fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    assert re.search(r"/[\w-]+-[0-9a-f]{8}\.pth$", fidelity.URL_INCEPTION_V3)
    taken = list(inspect.signature(fidelity.FeatureExtractorInceptionV3.__init__).parameters)
    assert taken[:4] == ["self", "name", "features_list", "feature_extractor_weights_path"]


WAITS = """
import os, resource, time
os.environ["OMP_NUM_THREADS"] = "2"
import torch
from gan.threads import add_idle_threads
torch.set_num_threads(2)

def sleeps():
    values = torch.rand(2**17)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
    for _ in range(300):
        values.exp_()
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before

spinning = sleeps()
release = add_idle_threads()
time.sleep(0.2)
sleeping = sleeps()
release.set()
time.sleep(0.2)
print(spinning, sleeping, sleeps())
"""


@pytest.mark.process
@pytest.mark.skipif(joblib.cpu_count() < 2, reason="on one core libgomp's threads never spin")
def test_idle_threads_make_libgomp_sleep_in_place_of_spinning():
    output = subprocess.run([sys.executable, "-c", WAITS], capture_output=True, text=True, check=True).stdout
    spinning, sleeping, again = map(int, output.split())
    assert sleeping > 10 * max(spinning, again)
