"""The application: which sites may call it, and the errors of a body."""

import pytest

from gan.inference import DigitGenerator

pytestmark = pytest.mark.anyio


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


async def test_a_body_that_is_not_json(service):
    async with service() as client:
        for content, kind, words in (
            ("{}", "text/plain", "The Content-Type must be application/json, not text/plain."),
            ("{", "application/json", "The body is not valid JSON."),
            ("", "none", "The request has no body."),
        ):
            response = await client.post("/v1/interpolate", content=content, headers={"Content-Type": kind})
            assert response.status_code == 422
            assert words in response.json()["detail"]


async def test_each_get_answers_head_which_the_schema_leaves_out(service, tmp_path):
    async with service(f"jobs_dir={tmp_path}/jobs") as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
        gets = [path for path, operations in paths.items() if "get" in operations]
        for path in [*gets, "/docs", "/redoc", "/openapi.json"]:
            url = path.replace("{digit}", "3")  # there is no such job: the error is that of GET as well
            got, head = await client.get(url), await client.head(url)
            assert head.status_code == got.status_code, url
            assert head.headers["content-type"] == got.headers["content-type"], url
        assert {"/health", "/metrics", "/v1/models", "/v1/jobs", "/v1/digits/{digit}.png"} <= set(gets)
        assert not any("head" in operations for operations in paths.values())


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/jobs", "GET, HEAD, POST"),
        (f"/v1/jobs/{'0' * 32}", "GET, HEAD, DELETE"),
        ("/info", "GET, HEAD"),
        ("/generate", "POST"),
        ("/ui/", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_answered_with_all_right_ones(service, path, allowed):
    async with service() as client:
        response = await client.request("PUT", path)
    assert (response.status_code, response.headers["allow"]) == (405, allowed)
    assert response.json() == {"detail": "Method Not Allowed"}
