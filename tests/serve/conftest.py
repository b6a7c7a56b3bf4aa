"""Services with tiny generators, called without a network."""

import asyncio
import os
import shutil
import socket
import threading
from contextlib import ExitStack, asynccontextmanager
from types import SimpleNamespace
from urllib.parse import urlsplit

import httpx
import pytest
from exports import files
from hydra.core.override_parser.overrides_parser import OverridesParser
from listening import listening
from omegaconf import OmegaConf
from processes import redis, serve
from prometheus_client.parser import text_string_to_metric_families
from tiny_generators import save_checkpoint, save_checkpoints

from gan.config import compose
from gan.inference import DigitGenerator
from gan.serve import job_worker, prometheus
from gan.serve import service as service_module
from gan.serve.app import create_app
from gan.serve.settings import read_settings

__all__ = ["files", "redis", "serve"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def quick_looks(monkeypatch):
    monkeypatch.setattr("gan.serve.models.CHECK_SECONDS", 0.02)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    return save_checkpoints(tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture(scope="session")
def read_overrides():
    """A function from overrides to settings. The other keys are composed and resolved once, which takes long."""
    defaults = OmegaConf.to_container(compose("serve", ["device=cpu"]), resolve=True)

    def read(*overrides):
        cfg = OmegaConf.create(defaults)
        for each in OverridesParser.create().parse_overrides(overrides):
            OmegaConf.update(cfg, each.key_or_group, each.value())
        return read_settings(cfg)

    return read


@pytest.fixture(scope="session")
def library(checkpoints):
    """The generator that the service has."""
    return DigitGenerator.from_checkpoint(checkpoints["conditional"], device="cpu")


@pytest.fixture
def ckpt(tmp_path):
    """A checkpoint of this test's own, which it may replace."""
    return save_checkpoint(tmp_path / "a.ckpt")


@pytest.fixture
def settings(checkpoints, tmp_path, read_overrides):
    """A function from overrides to settings; the model is conditional unless the test names another, or a file."""

    def read(*overrides, model="conditional"):
        named = any(text.startswith("models=") for text in overrides)
        file = [] if named else [f"ckpt='{checkpoints.get(model, model)}'"]
        return read_overrides(f"jobs_dir='{tmp_path / 'jobs'}'", *file, *overrides)

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
    """An event; while it is cleared, no image is generated. Its `reached` is set when a batch then waits for it."""
    released, sample = threading.Event(), DigitGenerator.sample
    released.reached = threading.Event()
    released.set()

    def sample_when_released(self, *inputs):
        if not released.is_set():
            released.reached.set()
        assert released.wait(30)
        return sample(self, *inputs)

    monkeypatch.setattr(DigitGenerator, "sample", sample_when_released)
    yield released
    released.set()


@pytest.fixture
def metric():
    """A function from a metric's name and labels to its value, summed over the labels left out."""

    def value(name, **labels):
        lines = [line for line in prometheus.exposition().decode().splitlines() if line.startswith(name)]
        families = text_string_to_metric_families("\n".join([*lines, ""]))
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    return value


@pytest.fixture
def quick_jobs(monkeypatch):
    """Workers look for jobs at once, and their shards are small."""
    monkeypatch.setattr(job_worker, "CHECK_SECONDS", 0.02)
    monkeypatch.setattr(job_worker, "SHARD", 100)


@pytest.fixture
def slow(monkeypatch):
    """Its `seconds` are what a job waits before each of its turns."""
    turn, slow = service_module.Service.turn, SimpleNamespace(seconds=0.0)

    async def slowly(self):
        await asyncio.sleep(slow.seconds)
        return await turn(self)

    monkeypatch.setattr(service_module.Service, "turn", slowly)
    return slow


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A browser that reaches this machine alone, with its downloads in the folder `downloads`."""
    browser, driver = next(filter(None, map(shutil.which, BROWSERS)), None), shutil.which("chromedriver")
    if browser is None or driver is None:
        reason = "needs Chromium and its driver (Debian: apt-get install chromium chromium-driver)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in (
        "headless=new",
        "window-size=1280,1200",
        "no-sandbox",
        "disable-dev-shm-usage",
        "host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options, webdriver.ChromeService(driver))
    opened.downloads = tmp_path_factory.mktemp("downloads")
    behaviour = {"behavior": "allow", "downloadPath": str(opened.downloads)}
    opened.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    yield opened
    opened.quit()


@pytest.fixture(scope="module")
def plain(checkpoints, read_overrides):
    """A service that has no overrides, for all tests of a file: its URL, and the function that stops it."""
    with listening(read_overrides(f"ckpt='{checkpoints['conditional']}'", "jobs_dir=null")) as found:
        yield found


@pytest.fixture
def page(chromium, settings, plain):
    """A function from overrides to the page of a service with them."""
    from browsing import Page

    with ExitStack() as stack:

        def opened(*overrides, **options):
            own = overrides or options
            url, stop = stack.enter_context(listening(settings(*overrides, **options))) if own else plain
            shown = Page(chromium, url)
            shown.url, shown.stop_service = url, stop
            return shown

        yield opened


@pytest.fixture(scope="module")
def url(checkpoints, read_overrides):
    """The URL of a service that is quick to refuse."""
    limits = ("max_body_bytes=1024", "request_timeout=1", "keep_alive=1", "jobs_dir=null")
    with listening(read_overrides(f"ckpt='{checkpoints['conditional']}'", *limits)) as (url, _):
        yield url


@pytest.fixture
def connect(url):
    """A function that opens a connection to it and sends something."""
    opened = []

    def connected(content=b""):
        address = urlsplit(url)
        opened.append(socket.create_connection((address.hostname, address.port), timeout=30))
        opened[-1].sendall(content)
        return opened[-1]

    yield connected
    for each in opened:
        each.close()
