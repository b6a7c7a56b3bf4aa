"""API keys and allowed origins."""

import pytest

from gan.inference import DigitGenerator

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


async def test_only_configured_origins_may_call(service, monkeypatch):
    async with service("cors_origins='https://a.example, https://b.example'") as client:
        for origin, allowed in (("https://b.example", True), ("https://c.example", False)):
            headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            preflight = await client.options("/v1/generate", headers=headers)
            response = await client.post("/v1/generate", json={}, headers={"Origin": origin})
            assert (preflight.headers.get("access-control-allow-origin") == origin) is allowed
            assert (response.headers.get("access-control-allow-origin") == origin) is allowed
        assert "X-Seed" in response.headers["access-control-expose-headers"]
        monkeypatch.setattr(DigitGenerator, "sample", lambda *_: {}["a"])
        response = await client.post("/v1/generate", json={}, headers={"Origin": "https://b.example"})
        assert (response.status_code, response.headers["access-control-allow-origin"]) == (500, "https://b.example")
