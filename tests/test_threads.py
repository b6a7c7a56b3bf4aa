import os

import pytest
import torch

from gan import threads
from gan.threads import BUSY, QUIET_LOOKS, Watch, forget_threads, run_delays, settle_threads


@pytest.fixture
def of_torch(monkeypatch):
    """Has torch's threads restored, and no watch started."""
    before = torch.get_num_threads()
    monkeypatch.setattr(Watch, "start", lambda self: None)
    forget_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # restored at the end too
    yield
    forget_threads()
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("key", "variable", "chosen"), [(None, None, 2), (None, "3", 3), (4, "3", 4)], ids=["cores", "variable", "key"]
)
def test_threads_are_those_of_the_key_the_variable_or_the_quota(monkeypatch, of_torch, key, variable, chosen):
    torch.set_num_threads(3)
    monkeypatch.setattr(threads, "cpu_count", lambda: 2)
    if variable:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    else:
        monkeypatch.delenv("OMP_NUM_THREADS")
    settle_threads(key)
    assert torch.get_num_threads() == chosen
    assert os.environ.get("OMP_NUM_THREADS") == (str(key) if key else variable)


def test_threads_of_one_run_do_not_stay_for_the_next(monkeypatch, of_torch):
    torch.set_num_threads(2)
    monkeypatch.setattr(threads, "cpu_count", lambda: 2)
    for variable in (None, "2"):
        monkeypatch.delenv("OMP_NUM_THREADS") if variable is None else monkeypatch.setenv("OMP_NUM_THREADS", variable)
        for number in (1, 3, 1):
            settle_threads(number)
        settle_threads()  # as opening a generator does
        assert torch.get_num_threads() == 1
        forget_threads()
        settle_threads()
        assert (torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")) == (2, variable)


def test_threads_sleep_on_shared_cores_until_they_were_quiet_for_a_while(monkeypatch, of_torch, caplog):
    events = []
    monkeypatch.setattr(threads, "add_idle_threads", lambda: events.append(threads.threading.Event()) or events[-1])
    watch = Watch()
    torch.set_num_threads(1)
    watch.look(2 * BUSY)
    assert not events  # a single thread waits for no other
    torch.set_num_threads(2)
    with caplog.at_level("INFO", "gan"):
        for share in [0, BUSY / 2, 2 * BUSY, 2 * BUSY]:
            watch.look(share)
    assert len(events) == 1
    assert [record.getMessage() for record in caplog.records] == [
        "threads     other processes share the cores: waiting threads now sleep, results stay the same"
    ]
    for share in [0.0] * (QUIET_LOOKS - 1) + [BUSY / 2] + [0.0] * (QUIET_LOOKS - 1):
        watch.look(share)
    assert not events[0].is_set()
    watch.look(0.0)
    assert events[0].is_set()
    watch.look(2 * BUSY)
    assert len(events) == 2


@pytest.mark.skipif(not threads.TASKS.is_dir(), reason="only Linux counts how long a thread waits for a core")
def test_delays_of_each_thread_are_seconds():
    delays = run_delays()
    assert str(threads.threading.get_native_id()) in delays
    assert all(0 <= delay < 3600 for delay in delays.values())
