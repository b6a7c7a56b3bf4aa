"""`gan serve` as a process: its start, shutdown and kill."""

import errno
import os
import resource
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from processes import PATIENCE
from tiny_generators import save_checkpoint

from gan.config import compose
from gan.errors import UserError
from gan.serve import command
from gan.serve.prometheus import SHARED


@pytest.mark.process
def test_a_killed_service_sends_no_truncated_response_and_a_stopped_one_finishes_its_requests(serve, tmp_path):
    ckpt = f"ckpt='{save_checkpoint(tmp_path / 'a.ckpt')}'"
    server = serve(ckpt, "port=0", python=sys.executable)
    expected = server.generate(num_images=256, seed=3).content
    assert "".join(server.log).count("generator   ") == 1
    with ThreadPoolExecutor(8) as clients:
        requests = [clients.submit(server.generate, num_images=256, seed=3) for _ in range(400)]
        while sum(each.done() for each in requests) < 20:
            time.sleep(0.01)
        server.process.kill()
        responses = [each.result() for each in requests]
    assert None in responses
    assert {response.content for response in responses if response is not None} == {expected}
    assert server.probe() is None

    server = serve(ckpt, f"port={server.port}", "drain_seconds=2")
    assert server.generate(num_images=256, seed=3).content == expected
    with ThreadPoolExecutor(24) as clients:
        requests = [clients.submit(server.generate, num_images=256, seed=3) for _ in range(24)]
        while not any(each.done() for each in requests):
            time.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("draining")
        assert server.probe() == 503
        assert [each.result().content for each in requests] == [expected] * 24
    assert server.process.wait(PATIENCE) == 0


@pytest.mark.process
def test_a_job_of_a_killed_service_is_continued_by_the_next(serve, tmp_path, without_nohup):
    given = [f"ckpt='{save_checkpoint(tmp_path / 'a.ckpt')}'", "port=0", f"jobs_dir='{tmp_path / 'jobs'}'"]
    server = serve(*given)
    entry = server.client.post("/v1/jobs", json={"num_images": 1_000_000}).json()

    def wait_for_more_than(images):
        deadline = time.monotonic() + PATIENCE
        while (found := server.get(entry["url"]).json())["images_done"] <= images:
            assert found["state"] in ("queued", "running")
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return found["images_done"]

    done = wait_for_more_than(0)
    server.process.kill()
    server = serve(*given, "drain_seconds=0")
    wait_for_more_than(done)
    assert server.client.delete(entry["url"]).status_code == 204
    server.process.send_signal(signal.SIGHUP)  # as a closed terminal does
    assert server.process.wait(PATIENCE) == 0
    assert list((tmp_path / "jobs").glob("*/")) == []


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux has this limit")
def test_a_client_that_does_not_read_a_large_response_is_cut_off(monkeypatch):
    monkeypatch.setattr(command, "UNREAD_RESPONSE_SECONDS", 1)
    with command.bind("127.0.0.1", 0) as listener:
        listener.listen()
        with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
            accepted.settimeout(PATIENCE)
            with pytest.raises(TimeoutError) as caught:
                accepted.sendall(bytes(100_000_000))
    assert caught.value.errno == errno.ETIMEDOUT


def test_it_takes_all_file_descriptors_that_it_may_have():
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, limits[0]), limits[1]))
    try:
        command._allow_connections()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (limits[1], limits[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_metrics_folder_of_another_program_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setenv(SHARED, str(tmp_path / "others"))
    with pytest.raises(UserError, match=r"^port=-1: "):
        command.serve(compose("serve", ["port=-1"]))
    assert SHARED not in os.environ


def test_an_error_at_startup_is_one_line(gan, tmp_path):
    ckpt = f"ckpt='{save_checkpoint(tmp_path / 'a.ckpt')}'"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for overrides, words in (
            ([ckpt, f"port={port}"], f"host=127.0.0.1, port={port}: Address already in use; port=0 takes a free one"),
            (["ckpt=nowhere.ckpt", "port=0"], "ckpt=nowhere.ckpt: there is no file"),
            ([ckpt, "port=0", f"jobs_dir='{tmp_path / 'a.ckpt/jobs'}'"], f"jobs_dir={tmp_path / 'a.ckpt/jobs'}: "),
            ([ckpt, "port=0", "trust=nosuchpackage"], "trust.0=nosuchpackage: must be a package"),
        ):
            code, out, err = gan("serve", "device=cpu", *overrides)
            assert (code, out, err.count("\n")) == (2, "", 1)
            assert err.startswith(f"gan serve: {words}")


def test_sigterm_ends_the_start_also_of_a_containers_first_process(gan, tmp_path, monkeypatch):
    """The system keeps signals from that process unless it has a handler of its own."""
    monkeypatch.setattr("gan.serve.models.Models.load", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        ckpt = save_checkpoint(tmp_path / "a.ckpt")
        assert gan("serve", f"ckpt='{ckpt}'", "port=0", "device=cpu", "jobs_dir=null")[0] == 143
    finally:
        signal.signal(signal.SIGTERM, before)
