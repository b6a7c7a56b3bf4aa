"""What records a call and runs it again: CUDA's, and its stand-in on the CPU."""

import pytest
import torch
from recorded_calls import RecordedCalls

from gan.cuda_graphs import CudaGraphs

both = pytest.mark.parametrize("graphs", [RecordedCalls, pytest.param(CudaGraphs, marks=pytest.mark.cuda)])


@both
def test_a_recorded_call_runs_at_each_replay_in_the_same_memory(graphs):
    given, total = (torch.full((2,), value, device=graphs.device_type) for value in (1.0, 0.0))

    def call():
        total.add_(given)
        return 2 * total

    recorder = graphs()
    with recorder.warming_up():
        call()
    replay, doubled = recorder.record(call)
    assert total.tolist() == [1, 1]
    for value, expected in ((10, 11), (20, 31)):
        given.fill_(value)
        replay()
        assert (total.tolist(), doubled.tolist()) == ([expected] * 2, [2 * expected] * 2)


@both
def test_a_call_that_cannot_be_recorded_can_still_run(graphs):
    """With the random numbers that come next, on the stream that it was called on."""

    def call():
        return float(torch.randn((), device=graphs.device_type))

    torch.manual_seed(0)
    expected = [call(), call()]
    torch.manual_seed(0)
    recorder = graphs()
    with recorder.warming_up():
        found = [call()]
    with pytest.raises(RuntimeError, match="not permitted"):
        recorder.record(call)
    assert [*found, call()] == expected
    if graphs is CudaGraphs:
        assert torch.cuda.current_stream() == torch.cuda.default_stream()
