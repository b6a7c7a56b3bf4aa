"""Metrics of one process, and of several."""

import os

import psutil
import pytest
from job_requests import submit, until
from tiny_generators import replace

from gan.serve import prometheus


def test_methods_that_http_does_not_define_share_a_label(metric):
    for method in ("GET", "BREW", "WHEN"):
        prometheus.observe_request(method, "/pot", 418, 0.25)
    methods = {method: metric("gan_http_requests_total", path="/pot", method=method) for method in ("GET", "other")}
    assert methods == {"GET": 1, "other": 2}
    assert metric("gan_http_requests_total", path="/pot", status="418") == 3
    latency = "gan_http_request_duration_seconds"
    assert (metric(f"{latency}_count", path="/pot"), metric(f"{latency}_sum", path="/pot")) == (3, 0.75)


@pytest.mark.anyio
@pytest.mark.usefixtures("quick_jobs")
async def test_the_images_seen_are_those_of_the_served_model_whatever_the_jobs_use(service, slow, metric, ckpt):
    async with service(f"models={{a: {{ckpt: '{ckpt}'}}}}") as client:
        assert metric("gan_model_images_seen", model="a") == 320
        slow.seconds = 0.05
        _, waiting = await submit(client), await submit(client)
        replace(ckpt, 640)
        assert (await client.post("/v1/models/a/reload")).status_code == 200
        assert metric("gan_model_images_seen", model="a") == 640
        slow.seconds = 0.0
        await until(client, waiting, "done")
        assert metric("gan_model_images_seen", model="a") == 640


@pytest.mark.anyio
async def test_the_first_refused_reload_is_an_increase_for_prometheus(service, ckpt):
    reloads = 'gan_model_reloads_total{model="first",outcome="refused"}'
    async with service(f"models={{first: {{ckpt: '{ckpt}'}}}}") as client:
        assert f"{reloads} 0.0\n" in (await client.get("/metrics")).text
        ckpt.write_bytes(b"damaged")
        assert (await client.post("/v1/models/first/reload")).status_code == 409
        assert f"{reloads} 1.0\n" in (await client.get("/metrics")).text


def test_of_dead_workers_the_gauges_are_forgotten_and_the_counts_kept(monkeypatch, tmp_path):
    dead = next(number for number in range(2**22, 0, -1) if not psutil.pid_exists(number))
    names = [f"{kind}_{pid}.db" for kind in ("counter", "gauge_livesum", "histogram") for pid in (dead, os.getpid())]
    for name in names:
        (tmp_path / name).touch()
    monkeypatch.delenv(prometheus.SHARED, raising=False)
    prometheus.forget_dead_workers()  # one worker alone shares nothing
    assert {path.name for path in tmp_path.iterdir()} == {*names}
    monkeypatch.setenv(prometheus.SHARED, str(tmp_path))
    prometheus.forget_dead_workers()
    assert {path.name for path in tmp_path.iterdir()} == {*names} - {f"gauge_livesum_{dead}.db"}
