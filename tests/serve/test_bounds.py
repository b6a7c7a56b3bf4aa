"""The limits of a service, and what it reports to its operators."""

import asyncio
import json
import logging
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gan.inference import DigitGenerator
from gan.serve import prometheus
from gan.serve.batching import Batcher

pytestmark = pytest.mark.anyio


@pytest.fixture
def hold(monkeypatch):
    """An event; while it is cleared, no image is generated."""
    released, draw = threading.Event(), DigitGenerator.draw
    released.set()

    def draw_when_released(self, *inputs):
        assert released.wait(30)
        return draw(self, *inputs)

    monkeypatch.setattr(DigitGenerator, "draw", draw_when_released)
    yield released
    released.set()


def sample(name, **labels):
    families = text_string_to_metric_families(prometheus.exposition().decode())
    found = [
        s.value for family in families for s in family.samples if s.name == name and labels.items() <= s.labels.items()
    ]
    return sum(found)


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_flood_of_requests_is_batched_or_refused(service, hold):
    async with service("queue_size=100", "max_images=64", "max_batch=64") as client:
        hold.clear()
        refused, batches = sample("gan_queue_full_total"), sample("gan_batch_images_count")
        requests = [
            asyncio.create_task(client.post("/v1/generate", json={"seed": n, "num_images": 2})) for n in range(200)
        ]
        await until(lambda: sample("gan_queue_full_total") - refused >= 200 - 32 - 50)
        assert sample("gan_queue_images") == 100
        hold.set()
        responses = await asyncio.gather(*requests)
        codes = [response.status_code for response in responses]
        assert set(codes) == {200, 503}
        assert codes.count(503) == sample("gan_queue_full_total") - refused
        assert all(a.headers["retry-after"] == "1" for a in responses if a.status_code == 503)
        assert sample("gan_batch_images_count") - batches <= 3  # of 32 requests at most
        assert sample("gan_queue_images") == 0
        assert (await client.post("/v1/generate", json={"num_images": 64})).status_code == 200


async def test_without_batching_each_request_is_a_batch(service, hold):
    async with service("max_batch=1") as client:
        before = sample("gan_batch_images_count")
        responses = await asyncio.gather(*(client.post("/v1/generate", json={"num_images": 2}) for _ in range(5)))
        assert {response.status_code for response in responses} == {200}
        assert sample("gan_batch_images_count") - before == 5


async def test_a_request_that_takes_too_long_is_given_up(service, hold):
    async with service("request_timeout=0.2") as client:
        hold.clear()
        response = await client.post("/v1/generate", json={})
        assert (response.status_code, response.json()["detail"]) == (504, "The request took more than 0.2 seconds.")
        late = asyncio.create_task(client.post("/v1/generate", json={"num_images": 7}))
        before = sample("gan_batch_images_sum")
        assert (await late).status_code == 504
        hold.set()
        assert (await client.post("/v1/generate", json={})).status_code == 200
        assert sample("gan_batch_images_sum") - before == 2  # the first and the last; the 7 were dropped


async def test_bodies_are_bounded(service):
    async with service("max_body_bytes=1024") as client:

        async def pieces():
            for _ in range(100):
                yield b" " * 100

        async def nothing():
            await asyncio.sleep(60)
            yield b""

        announced = await client.post("/v1/generate", content=b" " * 1025)
        unannounced = await client.post("/v1/generate", content=pieces())
        for response in (announced, unannounced):
            assert (response.status_code, response.json()["detail"]) == (413, "The body is larger than 1024 bytes.")
        for body in (b"{", b"\xff\xfe", b"[" * 1000, b"nul", b'{"seed": 1' + b"0" * 900 + b"}", b'{"truncation": NaN}'):
            response = await client.post("/v1/generate", content=body, headers={"content-type": "application/json"})
            assert response.status_code in (400, 422)
            assert isinstance(response.json()["detail"], str)
    async with service("request_timeout=0.1") as client:
        assert (await client.post("/v1/generate", content=nothing())).status_code == 408


async def test_a_client_that_disconnects_gets_no_response_and_stops_nothing(service, caplog):
    async with service() as client:
        app = client._transport.app
        sent = []

        async def disconnected():
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/v1/generate", "headers": [], "query_string": b""}
        with caplog.at_level(logging.INFO, "gan.access"):
            await app(scope, disconnected, send)
        assert sent == []
        assert json.loads(caplog.messages[-1])["status"] == 499
        assert (await client.post("/v1/generate", json={})).status_code == 200


async def test_keys(service, tmp_path):
    (tmp_path / "keys").write_text("second-key\n\nthird-key\n")
    async with service("api_keys=first-key", f"api_keys_file='{tmp_path / 'keys'}'") as client:
        for path in ("/livez", "/readyz", "/health", "/metrics", "/", "/docs", "/openapi.json"):
            assert (await client.get(path)).status_code == 200
        for headers in ({}, {"X-API-Key": "first-ke"}, {"X-API-Key": ""}, {"X-API-Key": "schlüssel".encode()}):
            for method, path in (
                ("POST", "/generate"),
                ("GET", "/info"),
                ("GET", "/v1/models"),
                ("POST", "/v1/models/default/reload"),
            ):
                response = await client.request(method, path, headers=headers)
                assert response.status_code == 401
        for key in ("first-key", "second-key", "third-key"):
            assert (await client.post("/v1/generate", json={}, headers={"X-API-Key": key})).status_code == 200


async def test_rates(service):
    keys = [{"X-API-Key": key} for key in ("first-key", "second-key")]
    async with service("rate_limit=3/minute", "api_keys='first-key, second-key'") as client:
        for headers in keys:
            codes = [(await client.get("/info", headers=headers)).status_code for _ in range(3)]
            assert codes == [200] * 3
        refused = await client.get("/info", headers=keys[0])
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert (await client.get("/readyz")).status_code == 200


async def test_only_configured_origins_may_call(service):
    async with service("cors_origins='https://a.example, https://b.example'") as client:
        for origin, allowed in (("https://b.example", True), ("https://c.example", False)):
            headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            preflight = await client.options("/v1/generate", headers=headers)
            response = await client.post("/v1/generate", json={}, headers={"Origin": origin})
            assert (preflight.headers.get("access-control-allow-origin") == origin) is allowed
            assert (response.headers.get("access-control-allow-origin") == origin) is allowed
        assert "X-Seed" in response.headers["access-control-expose-headers"]


async def test_each_request_has_an_id_a_log_line_and_a_count(service, caplog):
    async with service() as client:
        counted = {"method": "POST", "path": "/v1/generate", "status": "200"}
        before, images = sample("gan_http_requests_total", **counted), sample("gan_images_total", model="default")
        with caplog.at_level(logging.INFO, "gan.access"):
            await client.get("/readyz")
            await client.get("/metrics")
            given = await client.post("/v1/generate", json={"num_images": 5}, headers={"X-Request-ID": "abc-1"})
            made = await client.get("/nowhere", headers={"X-Request-ID": "a b" * 99})
        assert given.headers["x-request-id"] == "abc-1"
        assert len(made.headers["x-request-id"]) == 32
        first, second = map(json.loads, caplog.messages)
        assert (first["request_id"], first["status"], first["client"]) == ("abc-1", 200, "10.0.0.1")
        assert (first["model"], first["version"]) == ("default", given.headers["x-model-version"])
        assert (second["path"], second["status"], second["model"]) == ("/nowhere", 404, None)
        assert sample("gan_http_requests_total", **counted) - before == 1
        assert sample("gan_images_total", model="default") - images == 5
        assert sample("gan_http_requests_total", path="none", status="404") >= 1


async def test_an_internal_error_is_a_sentence_with_a_traceback_in_the_log(service, monkeypatch, caplog):
    def broken(self, *inputs):
        raise ZeroDivisionError

    async with service() as client:
        monkeypatch.setattr(DigitGenerator, "draw", broken)
        response = await client.post("/v1/generate", json={})
        assert (response.status_code, "the log has more" in response.json()["detail"]) == (500, True)
        assert response.headers["x-request-id"] in caplog.text
        assert "ZeroDivisionError" in caplog.text


async def test_probes_of_a_service_that_is_draining(service, monkeypatch):
    async with service() as client:
        assert ((await client.get("/livez")).status_code, (await client.get("/readyz")).status_code) == (200, 200)
        client.service.state = "draining"
        refused = await client.get("/readyz")
        assert (refused.status_code, refused.json()["detail"]) == (503, "The service is draining.")
        assert (await client.get("/livez")).status_code == 200
        assert (await client.post("/v1/generate", json={})).status_code == 200


async def test_a_service_whose_batching_has_stopped_is_not_alive(service, monkeypatch):
    async def stopped(self):
        return

    monkeypatch.setattr(Batcher, "run", stopped)
    async with service() as client:
        await asyncio.sleep(0)
        assert (await client.get("/livez")).status_code == 503


async def test_concurrent_requests_are_limited_but_probes_are_not(service, hold):
    async with service("max_requests=2") as client:
        hold.clear()
        requests = [asyncio.create_task(client.post("/v1/generate", json={})) for _ in range(3)]
        done, waiting = await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED)
        (refused,) = (task.result() for task in done)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert "X-Request-ID" in refused.headers
        for path in ("/livez", "/readyz", "/health"):
            assert (await client.get(path)).status_code == 200
            assert (await client.head(path)).status_code == 200
        hold.set()
        assert [response.status_code for response in await asyncio.gather(*waiting)] == [200, 200]
        assert (await client.post("/v1/generate", json={})).status_code == 200


async def test_requests_with_wrong_keys_are_limited(service):
    async with service("api_keys=[right]", "rate_limit=3/minute") as client:
        codes = [(await client.get("/info", headers={"X-API-Key": f"guess{n}"})).status_code for n in range(5)]
        assert codes == [401, 401, 401, 429, 429]
        assert (await client.get("/info", headers={"X-API-Key": "right"})).status_code == 200


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        ("{}", "text/plain", "The Content-Type must be application/json, not text/plain."),
        ("{", "application/json", "The body is not valid JSON."),
    ],
)
async def test_a_body_that_is_not_json(service, content, kind, words):
    async with service() as client:
        response = await client.post("/v1/generate", content=content, headers={"Content-Type": kind})
        assert response.status_code == 422
        assert words in response.json()["detail"]
