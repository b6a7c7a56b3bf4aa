"""`gan serve` as a process: shutdown, kill and workers."""

import errno
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tiny_generators import replace, save_checkpoint

from gan.config import compose
from gan.errors import UserError
from gan.serve import command
from gan.serve.prometheus import SHARED

PATIENCE = 120
PLAIN = {"timeout": PATIENCE, "verify": False}  # reading the system's certificates takes longer than a response


class Server:
    """A running `gan serve`; nobody reads its standard output."""

    def __init__(self, python, *overrides):
        reader, output = os.pipe()
        os.close(reader)
        self.process = subprocess.Popen(
            [python, "-m", "gan", "serve", "device=cpu", "jobs_dir=null", *overrides],
            stderr=subprocess.PIPE,
            stdout=output,
            text=True,
        )
        os.close(output)
        self.log = []
        threading.Thread(target=lambda: self.log.extend(iter(self.process.stderr.readline, "")), daemon=True).start()
        self.port = int(self.wait_for(r"at http://127\.0\.0\.1:(\d+)")[0])
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", **PLAIN)
        while self.probe() != 200:
            assert self.process.poll() is None, "".join(self.log)
            time.sleep(0.05)

    def probe(self):
        """The status of /readyz; None if nothing listens."""
        try:
            return self.get("/readyz").status_code
        except httpx.ConnectError:
            return None

    def wait_for(self, pattern, count=1):
        deadline = time.monotonic() + PATIENCE
        while len(found := re.findall(pattern, "".join(self.log))) < count:
            assert self.process.poll() is None, "".join(self.log)
            assert time.monotonic() < deadline, "".join(self.log)
            time.sleep(0.02)
        return found

    def get(self, path):
        """The response to a request on its own connection."""
        return httpx.get(f"{self.client.base_url}{path}", **PLAIN)

    def generate(self, **body):
        """The response to a request on its own connection; None if the connection fails."""
        try:
            return httpx.post(f"{self.client.base_url}/v1/generate", json=body, **PLAIN)
        except httpx.TransportError:
            return None


@pytest.fixture
def serve(python):
    started = []

    def start(*overrides, python=python):
        started.append(Server(python, *overrides))
        return started[-1]

    yield start
    for server in started:
        server.client.close()
        server.process.kill()
        server.process.wait()


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
def test_two_workers_share_metrics_and_reloads_and_a_killed_one_is_replaced(serve, ckpt):
    server = serve(f"ckpt='{ckpt}'", "port=0", "workers=2", "drain_seconds=0")
    workers = [int(pid) for pid in server.wait_for(r"Started server process \[(\d+)\]", 2)]
    server.wait_for("startup complete", 2)
    assert "".join(server.log).count("generator   ") == 1  # not of each worker
    before = {server.generate(seed=seed).headers["x-model-version"] for seed in range(20)}
    for _ in range(3):
        families = text_string_to_metric_families(server.get("/metrics").text)
        samples = {sample.name: sample.value for family in families for sample in family.samples}
        assert samples["gan_images_total"] == 20

    replace(ckpt, 640)
    new = server.client.post("/v1/models/default/reload").json()["version"]
    server.wait_for(f"version {new} loaded, 640 images seen", 2)
    assert {server.generate(seed=1).headers["x-model-version"] for _ in range(20)} == {new} != before

    os.kill(workers[0], signal.SIGKILL)
    server.wait_for("startup complete", 3)
    assert {server.generate(seed=1).headers["x-model-version"] for _ in range(20)} == {new}

    ckpt.write_bytes(b"damaged")
    os.kill(workers[1], signal.SIGKILL)
    server.wait_for("this worker starts again in 5 s: ckpt=")
    assert {server.generate(seed=1).headers["x-model-version"] for _ in range(20)} == {new}
    replace(ckpt, 960)
    server.wait_for("startup complete", 4)
    server.wait_for("loaded, 960 images seen")
    server.process.terminate()
    assert server.process.wait(PATIENCE) == 0
    assert "Traceback" not in "".join(server.log)


@pytest.mark.process
def test_workers_end_with_their_parent(serve, ckpt):
    server = serve(f"ckpt='{ckpt}'", "port=0", "workers=2", "drain_seconds=0")
    workers = [int(pid) for pid in server.wait_for(r"Started server process \[(\d+)\]", 2)]
    server.process.kill()
    deadline = time.monotonic() + PATIENCE
    while any(map(psutil.pid_exists, workers)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert server.probe() is None


@pytest.mark.process
def test_a_job_of_a_killed_service_is_continued_by_the_next(serve, tmp_path):
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
    server.process.terminate()
    assert server.process.wait(PATIENCE) == 0
    assert list((tmp_path / "jobs").glob("*/")) == []


@pytest.mark.process
def test_two_workers_count_a_rate_limit_together_in_redis(serve, redis, tmp_path, without_nohup):
    ckpt = f"ckpt='{save_checkpoint(tmp_path / 'a.ckpt')}'"
    server = serve(ckpt, "port=0", "workers=2", "rate_limit=20/hour", f"rate_limit_storage={redis[0]}")
    server.wait_for("startup complete", 2)
    with ThreadPoolExecutor(8) as clients:
        codes = list(clients.map(lambda _: server.get("/info").status_code, range(60)))
    server.process.send_signal(signal.SIGHUP)  # a closed terminal ends it with its workers, which a kill would leave
    assert server.process.wait(PATIENCE) == 0
    assert (codes.count(200), codes.count(429)) == (20, 40)


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


def test_workers_import_nothing_from_the_folder_of_the_service(monkeypatch, tmp_path, logging_kept):
    """Such as a user's own types.py, which Python would take for its own."""
    (tmp_path / "types.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    for name in ("PYTHONSAFEPATH", SHARED):
        monkeypatch.setenv(name, "")  # so that it is taken back

    class Started:
        def __init__(self, config, sockets):
            sockets[0].close()

        processes = [SimpleNamespace(exitcode=0)]

        def run(self):
            subprocess.run([sys.executable, "-c", "import types"], check=True)

    monkeypatch.setattr("gan.serve.workers.Supervisor", Started)
    fixed = [f"ckpt='{save_checkpoint(tmp_path / 'a.ckpt')}'", "workers=2", "port=0", "device=cpu", "jobs_dir=null"]
    command.serve(compose("serve", fixed))
    Started.processes.append(SimpleNamespace(exitcode=3))  # one that could not start
    with pytest.raises(SystemExit, match=r"^3$"):
        command.serve(compose("serve", fixed))
