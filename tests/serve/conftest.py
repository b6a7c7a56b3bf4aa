"""Services with tiny generators, called without a network."""

import os
import shutil
import socket
import subprocess
import threading
from contextlib import asynccontextmanager

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tiny_generators import save_checkpoints

from gan.config import compose
from gan.inference import DigitGenerator
from gan.serve import prometheus
from gan.serve.app import create_app
from gan.serve.settings import read_settings


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    return save_checkpoints(tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture
def redis(tmp_path):
    """The address of a Redis server of this test's own, and a function that stops it."""
    program = shutil.which("redis-server")
    if program is None:
        reason = "needs Redis (Debian: apt-get install redis-server)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert any("Ready to accept connections" in line for line in process.stdout)

    def stop():
        process.kill()
        process.wait()
        process.stdout.close()

    yield f"redis://127.0.0.1:{port}/0", stop
    stop()


@pytest.fixture
def settings(checkpoints, tmp_path):
    """A function from overrides to settings; the model is conditional unless the test names another."""

    def read(*overrides, model="conditional"):
        named = any(text.startswith("models=") for text in overrides)
        file = [] if named else [f"ckpt='{checkpoints[model]}'"]
        fixed = ["device=cpu", f"jobs_dir='{tmp_path / 'jobs'}'"]
        return read_settings(compose("serve", [*fixed, *file, *overrides]))

    return read


@pytest.fixture
def service(settings):
    """A function from overrides to the client of a running service, with the service as an attribute."""

    @asynccontextmanager
    async def running(*overrides, **options):
        app = create_app(settings(*overrides, **options))
        transport = httpx.ASGITransport(app, client=("10.0.0.1", 1234))
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://t") as client,
        ):
            client.service = app.state.service
            yield client

    return running


@pytest.fixture
def hold(monkeypatch):
    """An event; while it is cleared, no image is generated. Its `reached` is set when a batch has begun."""
    released, draw = threading.Event(), DigitGenerator.draw
    released.reached = threading.Event()
    released.set()

    def draw_when_released(self, *inputs):
        released.reached.set()
        assert released.wait(30)
        return draw(self, *inputs)

    monkeypatch.setattr(DigitGenerator, "draw", draw_when_released)
    yield released
    released.set()


@pytest.fixture
def metric():
    """A function from a metric's name and labels to its value, summed over the labels left out."""

    def value(name, **labels):
        families = text_string_to_metric_families(prometheus.exposition().decode())
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    return value
