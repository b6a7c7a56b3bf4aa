"""API keys; how many requests of a client are answered, and where they are counted."""

import asyncio
import socket

import pytest

from gan.serve import access

pytestmark = pytest.mark.anyio


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
        broken = {"content": "{", "headers": {"Content-Type": "application/json"}}
        assert (await client.post("/v1/generate", **broken)).status_code == 401  # before the body is read
        for key in ("first-key", "second-key", "third-key"):
            assert (await client.post("/v1/generate", json={}, headers={"X-API-Key": key})).status_code == 200


async def test_requests_with_wrong_keys_are_limited(service):
    async with service("api_keys=[right]", "rate_limit=3/minute") as client:
        codes = [(await client.get("/info", headers={"X-API-Key": f"guess{n}"})).status_code for n in range(5)]
        assert codes == [401, 401, 401, 429, 429]
        assert (await client.get("/info", headers={"X-API-Key": "right"})).status_code == 200


async def test_rates(service):
    keys = [{"X-API-Key": key} for key in ("first-key", "second-key")]
    async with service("rate_limit=3/minute", "api_keys='first-key, second-key'") as client:
        for headers in keys:
            codes = [(await client.get("/info", headers=headers)).status_code for _ in range(3)]
            assert codes == [200] * 3
        refused = await client.get("/info", headers=keys[0])
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        for path in ("/readyz", "/health", "/metrics", "/", "/docs", "/openapi.json", "/ui/"):
            assert (await client.get(path, headers=keys[0])).status_code == 200


async def test_a_body_that_is_not_json_counts(service):
    async with service("rate_limit=2/minute") as client:
        broken = {"content": "{", "headers": {"Content-Type": "application/json"}}
        assert [(await client.post("/generate", **broken)).status_code for _ in range(3)] == [422, 422, 429]


async def test_a_request_that_the_short_period_refuses_does_not_count_in_the_long_one(service):
    async with service("rate_limit='3/hour;2/second'") as client:
        codes = [(await client.get("/info")).status_code for _ in range(6)]
        assert codes[:2] == [200, 200]
        assert 429 in codes
        await asyncio.sleep(1.1)
        assert (await client.get("/info")).status_code == 200


@pytest.mark.process
async def test_services_count_together_in_redis_and_alone_without_it(service, redis, monkeypatch, caplog):
    address, stop = redis
    limited = ("rate_limit='4/minute;100/hour'", f"rate_limit_storage={address}")
    async with service(*limited) as first, service(*limited) as second:

        async def codes():
            return [(await client.get("/info")).status_code for _ in range(3) for client in (first, second)]

        assert await codes() == [200] * 4 + [429] * 2
        assert 1 <= int((await first.get("/info")).headers["retry-after"]) <= 60
        assert (await first.get("/readyz")).status_code == 200
        stop()
        assert await codes() == [200] * 6
        assert await codes() == [200] * 2 + [429] * 4  # each has a limit of its own
        lines = [line for line in caplog.messages if "rate_limit_storage" in line]
        assert len(lines) == 2  # one of each service
        assert "each worker counts alone for now (Error " in lines[0]


async def test_one_request_at_a_time_waits_for_a_redis_that_hangs(service, monkeypatch):
    monkeypatch.setattr(access, "REDIS_TIMEOUTS", dict.fromkeys(access.REDIS_TIMEOUTS, 0.5))
    monkeypatch.setattr(access, "ASK_AGAIN_SECONDS", 0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        storage = f"rate_limit_storage=redis://127.0.0.1:{silent.getsockname()[1]}/0"
        async with service("rate_limit=9/minute", storage) as client:
            assert (await client.get("/info")).status_code == 200
            monkeypatch.setattr(access, "ASK_AGAIN_SECONDS", 60)
            asking = asyncio.create_task(client.get("/info"))
            await asyncio.sleep(0.1)
            assert (await client.get("/info")).status_code == 200
            assert not asking.done()
            assert (await asking).status_code == 200


async def test_the_log_says_when_redis_counts_again(monkeypatch, caplog):
    monkeypatch.setattr(access, "ASK_AGAIN_SECONDS", 0)
    limit = access.RateLimit("9/minute", "redis://127.0.0.1:1/0")
    await limit.count("client")
    limit.shared = limit.own  # one that responds
    with caplog.at_level("INFO", "gan.serve"):
        for _ in range(2):
            await limit.count("client")
    alone, together = caplog.messages
    assert "each worker counts alone for now" in alone
    assert together == "rate_limit_storage: all workers count together again"


async def test_a_redis_that_does_not_respond_ends_the_start(gan, settings, checkpoints):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    given = [f"ckpt='{checkpoints['conditional']}'", "port=0", "rate_limit=4/minute"]
    code, out, err = gan("serve", *given, f"rate_limit_storage=redis://:secret@127.0.0.1:{port}/0")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("gan serve: rate_limit_storage: Redis at 127.0.0.1 does not respond (")
    assert "secret" not in err


async def test_an_option_that_redis_does_not_know_is_one_line(gan, settings, checkpoints):
    given = [f"ckpt='{checkpoints['conditional']}'", "port=0", "rate_limit=4/minute"]
    code, out, err = gan("serve", *given, "rate_limit_storage='redis://127.0.0.1:1/0?nosuch=1'")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "nosuch" in err
