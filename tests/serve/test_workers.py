"""Several workers: what they share, and how one that dies is replaced."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import psutil
import pytest
from processes import PATIENCE
from prometheus_client.parser import text_string_to_metric_families
from tiny_generators import replace, save_checkpoint

from gan.config import compose
from gan.serve import command
from gan.serve.prometheus import SHARED


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
def test_two_workers_count_a_rate_limit_together_in_redis(serve, redis, tmp_path, without_nohup):
    ckpt = f"ckpt='{save_checkpoint(tmp_path / 'a.ckpt')}'"
    server = serve(ckpt, "port=0", "workers=2", "rate_limit=20/hour", f"rate_limit_storage={redis[0]}")
    server.wait_for("startup complete", 2)
    with ThreadPoolExecutor(8) as clients:
        codes = list(clients.map(lambda _: server.get("/info").status_code, range(60)))
    server.process.send_signal(signal.SIGHUP)  # a closed terminal ends it with its workers, which a kill would leave
    assert server.process.wait(PATIENCE) == 0
    assert (codes.count(200), codes.count(429)) == (20, 40)


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
