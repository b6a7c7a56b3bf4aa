"""The limits of a request, its id, log line and metrics, and errors that the limits or a fault cause."""

import asyncio
import json
import logging

import pytest

from gan.inference import DigitGenerator
from gan.serve.middleware import Requests

pytestmark = pytest.mark.anyio


async def test_a_request_that_takes_too_long_is_given_up(service, metric, hold):
    async with service("request_timeout=0.5") as client:
        hold.clear()
        first = asyncio.create_task(client.post("/v1/generate", json={}))
        assert await asyncio.to_thread(hold.reached.wait, 20)
        response = await first
        assert (response.status_code, response.json()["detail"]) == (504, "The request took more than 0.5 seconds.")
        late = asyncio.create_task(client.post("/v1/generate", json={"num_images": 7}))
        before = metric("gan_batch_images_sum")
        assert (await late).status_code == 504
        hold.set()
        assert (await client.post("/v1/generate", json={})).status_code == 200
        assert metric("gan_batch_images_sum") - before == 2  # the first and the last; the 7 were dropped


async def test_each_piece_of_a_download_has_the_whole_time(settings):
    async def download(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for pause in (0.2, 0.2, 0.2, 0.2, 5):
            await send({"type": "http.response.body", "body": b"piece", "more_body": True})
            await asyncio.sleep(pause)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    sent = []

    async def send(message):
        sent.append(message)

    limited = Requests(download, settings("request_timeout=0.5"))
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    await asyncio.wait_for(limited(scope, receive, send), 4)
    assert [message.get("body") for message in sent] == [None, *[b"piece"] * 5]


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


async def test_each_request_has_an_id_a_log_line_and_a_count(service, metric, caplog):
    async with service() as client:
        counted = {"method": "POST", "path": "/v1/generate", "status": "200"}
        before, images = metric("gan_http_requests_total", **counted), metric("gan_images_total", model="default")
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
        assert metric("gan_http_requests_total", **counted) - before == 1
        assert metric("gan_images_total", model="default") - images == 5
        assert metric("gan_http_requests_total", path="none", status="404") >= 1


async def test_an_internal_error_is_a_sentence_with_a_traceback_in_the_log(service, monkeypatch, caplog):
    def broken(self, *inputs):
        raise ZeroDivisionError

    async with service() as client:
        monkeypatch.setattr(DigitGenerator, "sample", broken)
        response = await client.post("/v1/generate", json={})
        assert (response.status_code, "the log has more" in response.json()["detail"]) == (500, True)
        assert response.headers["x-request-id"] in caplog.text
        assert "ZeroDivisionError" in caplog.text
