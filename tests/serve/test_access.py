"""API keys, rate limits and allowed origins."""

import pytest

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
