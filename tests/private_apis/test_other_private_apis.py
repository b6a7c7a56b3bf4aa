"""What this project uses of other libraries than Lightning beyond their documented interface.

pyproject.toml bounds each of these libraries above. A test here fails when one of them changes. To raise a bound,
install the new version, run this file, and enter the version here.

library         tested with  what                                        used for
--------------  -----------  ------------------------------------------  ----------------------------------------
torch           2.15.0       Optimizer._step_supports_amp_scaling        clipping with a fused optimizer in fp16
                             nn.modules.batchnorm._BatchNorm             refusing one_stage with batch normalization
                             _foreach_copy_, _sub, _mul_, _add_          the average of the weights in few kernels
                             a schedule's _schedule_phases               a resumed run with another schedule or length
                             SummaryWriter.file_writer, summary.hparams  TensorBoard: resuming, HParams at the end
torchvision     0.29.2       datasets.MNIST.mirrors, .resources          addresses and checksums of the data
torch-fidelity  0.4.0        FeatureExtractorInceptionV3 and its URL     the Inception features and their weights
hydra-core      1.3.8        core.plugins, the namespace hydra_plugins   this project's launchers and sweepers
                             core.override_parser                        the parameters of a sweep
                             core.utils.run_job, setup_globals           a job in a process of its own
                             core.singleton.Singleton._instances         a program's own use of Hydra is left alone
                             _internal.hydra.Hydra and its commands      a refused command leaves nothing behind
                             the texts of its errors                     errors in one line
optuna          5.0.0        FrozenTrial._trial_id, .system_attrs        a job's values and its pruner's notes
omegaconf       2.3.1        an error's key, full_key, parent_node       a misspelt key and its neighbours
                             _get_parent                                 the whole config, from Hydra's part of it
fastapi         0.165.0      APIRoute.dependant, body_field              a query that no endpoint reads is refused
libgomp         torch's      short spins with more threads than cores    threads that sleep beside busy processes
uvicorn         0.54.0       HttpToolsProtocol, its cycle and its flow   limits on headers, the parser's errors
                             ProxyHeadersMiddleware.trusted_hosts        X-Forwarded-Prefix of trusted proxies
                             Server.handle_exit as SIGTERM's handler     draining before the end
                             supervisors.Multiprocess, its processes     several workers, noticed when they die
"""

import inspect
import re
import subprocess

import joblib
import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from gan.idx_files import ALL_NAMES


def test_omegaconf_keeps_what_is_written_and_takes_objects_where_it_is_told_to():
    config = OmegaConf.create({"folder": "${name}", "name": "a", "inner": {}})
    assert OmegaConf.to_container(config)["folder"] == "${name}"
    assert config.inner._get_parent() is config
    config = OmegaConf.create(config, flags={"allow_objects": True})
    config.inner = {"tensor": torch.zeros(1)}
    assert torch.equal(config.inner.tensor, torch.zeros(1))


def test_torch_marks_fused_optimizers_that_unscale_gradients_themselves():
    parameters = [nn.Parameter(torch.zeros(1))]
    assert torch.optim.Adam(parameters, fused=True)._step_supports_amp_scaling
    assert not getattr(torch.optim.Adam(parameters), "_step_supports_amp_scaling", False)


@pytest.mark.parametrize("layer", [nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm])
def test_torchs_batch_normalizations_have_one_base_class(layer):
    assert issubclass(layer, nn.modules.batchnorm._BatchNorm)
    assert not issubclass(nn.GroupNorm, nn.modules.batchnorm._BatchNorm)


def test_torch_computes_with_lists_of_tensors():
    averages, currents = [torch.tensor([1.0])], [torch.tensor([3.0])]
    differences = torch._foreach_sub(currents, averages)
    torch._foreach_mul_(differences, torch.tensor(0.5))
    torch._foreach_add_(averages, differences)
    assert averages == [torch.tensor([2.0])]
    torch._foreach_copy_(averages, currents)
    assert averages == currents


def test_torchs_schedules_keep_their_place_and_their_length():
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))])
    state = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=9).state_dict()
    assert (state["last_epoch"], state["total_steps"]) == (0, 9)
    assert state["_schedule_phases"][-1]["end_step"] == 8


def test_fastapis_routes_say_whether_they_read_a_query_or_a_body():
    router = pytest.importorskip("fastapi").APIRouter()

    @router.get("/query")
    def query(count: int): ...

    @router.post("/body")
    def body(content: dict[str, int]): ...

    query_route, body_route = router.routes
    assert [field.name for field in query_route.dependant.query_params] == ["count"]
    assert query_route.body_field is None
    assert not body_route.dependant.query_params
    assert body_route.body_field is not None


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


def test_torch_fidelity_names_its_weights_by_their_hash():
    fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    assert re.search(r"/[\w-]+-[0-9a-f]{8}\.pth$", fidelity.URL_INCEPTION_V3)
    taken = list(inspect.signature(fidelity.FeatureExtractorInceptionV3.__init__).parameters)
    assert taken[:4] == ["self", "name", "features_list", "feature_extractor_weights_path"]


WAITS = """
import resource, time
import torch
from gan.threads import add_idle_threads
torch.set_num_threads(2)

def sleeps():
    values = torch.rand(2**17)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
    for _ in range(300):
        values.exp_()
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before

sleeps()  # starts the threads
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
def test_idle_threads_make_libgomp_sleep_in_place_of_spinning(python):
    output = subprocess.run([python, "-c", WAITS], capture_output=True, text=True, check=True).stdout
    spinning, sleeping, again = map(int, output.split())
    assert sleeping > 10 * max(spinning, again)
