"""What a service refuses, and what it tells those who run it."""

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
def held(monkeypatch):
    """An event without which nothing is drawn."""
    free, draw = threading.Event(), DigitGenerator.draw
    free.set()

    def drawn(self, *inputs):
        assert free.wait(30)
        return draw(self, *inputs)

    monkeypatch.setattr(DigitGenerator, "draw", drawn)
    yield free
    free.set()


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


async def test_a_flood_is_drawn_together_or_refused(service, held):
    async with service("queue_size=100", "max_images=64", "max_batch=64") as client:
        held.clear()
        refused, batches = sample("gan_queue_full_total"), sample("gan_batch_images_count")
        asking = [
            asyncio.create_task(client.post("/v1/generate", json={"seed": n, "num_images": 2})) for n in range(200)
        ]
        await until(lambda: sample("gan_queue_full_total") - refused >= 200 - 32 - 50)
        assert sample("gan_queue_images") == 100
        held.set()
        answers = await asyncio.gather(*asking)
        codes = [answer.status_code for answer in answers]
        assert set(codes) == {200, 503}
        assert codes.count(503) == sample("gan_queue_full_total") - refused
        assert all(a.headers["retry-after"] == "1" for a in answers if a.status_code == 503)
        assert sample("gan_batch_images_count") - batches <= 3  # of 32 requests at most
        assert sample("gan_queue_images") == 0
        assert (await client.post("/v1/generate", json={"num_images": 64})).status_code == 200


async def test_without_batching_each_request_is_drawn_alone(service, held):
    async with service("max_batch=1") as client:
        before = sample("gan_batch_images_count")
        answers = await asyncio.gather(*(client.post("/v1/generate", json={"num_images": 2}) for _ in range(5)))
        assert {answer.status_code for answer in answers} == {200}
        assert sample("gan_batch_images_count") - before == 5


async def test_an_answer_that_takes_too_long_is_given_up(service, held):
    async with service("request_timeout=0.2") as client:
        held.clear()
        answer = await client.post("/v1/generate", json={})
        assert (answer.status_code, answer.json()["detail"]) == (504, "The answer took more than 0.2 seconds.")
        late = asyncio.create_task(client.post("/v1/generate", json={"num_images": 7}))
        before = sample("gan_batch_images_sum")
        assert (await late).status_code == 504
        held.set()
        assert (await client.post("/v1/generate", json={})).status_code == 200
        assert sample("gan_batch_images_sum") - before == 2  # the one that was held, and the last: nobody waited for 7


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
        for answer in (announced, unannounced):
            assert (answer.status_code, answer.json()["detail"]) == (413, "The body is larger than 1024 bytes.")
        for body in (b"{", b"\xff\xfe", b"[" * 1000, b"nul", b'{"seed": 1' + b"0" * 900 + b"}", b'{"truncation": NaN}'):
            answer = await client.post("/v1/generate", content=body, headers={"content-type": "application/json"})
            assert answer.status_code in (400, 422)
            assert isinstance(answer.json()["detail"], str)
    async with service("request_timeout=0.1") as client:
        assert (await client.post("/v1/generate", content=nothing())).status_code == 408


async def test_a_client_that_leaves_gets_nothing_and_stops_nothing(service, caplog):
    async with service() as client:
        app = client._transport.app
        sent = []

        async def gone():
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/v1/generate", "headers": [], "query_string": b""}
        with caplog.at_level(logging.INFO, "gan.access"):
            await app(scope, gone, send)
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
                answer = await client.request(method, path, headers=headers)
                assert answer.status_code == 401
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


async def test_other_sites_pages_may_call_if_they_are_named(service):
    async with service("cors_origins='https://a.example, https://b.example'") as client:
        for origin, allowed in (("https://b.example", True), ("https://c.example", False)):
            headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            preflight = await client.options("/v1/generate", headers=headers)
            answer = await client.post("/v1/generate", json={}, headers={"Origin": origin})
            assert (preflight.headers.get("access-control-allow-origin") == origin) is allowed
            assert (answer.headers.get("access-control-allow-origin") == origin) is allowed
        assert "X-Seed" in answer.headers["access-control-expose-headers"]


async def test_each_request_has_an_id_a_line_and_a_count(service, caplog):
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


async def test_a_fault_is_a_sentence_and_a_traceback_in_the_log(service, monkeypatch, caplog):
    def broken(self, *inputs):
        raise ZeroDivisionError

    async with service() as client:
        monkeypatch.setattr(DigitGenerator, "draw", broken)
        answer = await client.post("/v1/generate", json={})
        assert (answer.status_code, "the log says more" in answer.json()["detail"]) == (500, True)
        assert answer.headers["x-request-id"] in caplog.text
        assert "ZeroDivisionError" in caplog.text


async def test_probes_tell_a_service_that_drains_from_one_that_is_dead(service, monkeypatch):
    async with service() as client:
        assert ((await client.get("/livez")).status_code, (await client.get("/readyz")).status_code) == (200, 200)
        client.service.state = "draining"
        refused = await client.get("/readyz")
        assert (refused.status_code, refused.json()["detail"]) == (503, "The service is draining.")
        assert (await client.get("/livez")).status_code == 200
        assert (await client.post("/v1/generate", json={})).status_code == 200


async def test_a_service_that_cannot_draw_any_more_is_not_alive(service, monkeypatch):
    async def ended(self):
        return

    monkeypatch.setattr(Batcher, "run", ended)
    async with service() as client:
        await asyncio.sleep(0)
        assert (await client.get("/livez")).status_code == 503


async def test_more_requests_than_allowed_are_refused_but_probes_are_not(service, held):
    async with service("max_requests=2") as client:
        held.clear()
        asking = [asyncio.create_task(client.post("/v1/generate", json={})) for _ in range(3)]
        done, waiting = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        (refused,) = (task.result() for task in done)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert "X-Request-ID" in refused.headers
        for path in ("/livez", "/readyz", "/health"):
            assert (await client.get(path)).status_code == 200
            assert (await client.head(path)).status_code == 200
        held.set()
        assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [200, 200]
        assert (await client.post("/v1/generate", json={})).status_code == 200


async def test_guesses_of_a_key_are_limited(service):
    async with service("api_keys=[right]", "rate_limit=3/minute") as client:
        codes = [(await client.get("/info", headers={"X-API-Key": f"guess{n}"})).status_code for n in range(5)]
        assert codes == [401, 401, 401, 429, 429]
        assert (await client.get("/info", headers={"X-API-Key": "right"})).status_code == 200


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        ("{}", "text/plain", "with Content-Type: application/json; this one's is text/plain."),
        ("{", "application/json", "The body is no JSON text."),
    ],
)
async def test_a_body_that_is_no_json_is_told(service, content, kind, words):
    async with service() as client:
        answer = await client.post("/v1/generate", content=content, headers={"Content-Type": kind})
        assert answer.status_code == 422
        assert words in answer.json()["detail"]
