"""API keys."""

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
        broken = {"content": "{", "headers": {"Content-Type": "application/json"}}
        assert (await client.post("/v1/generate", **broken)).status_code == 401  # before the body is read
        for key in ("first-key", "second-key", "third-key"):
            assert (await client.post("/v1/generate", json={}, headers={"X-API-Key": key})).status_code == 200
