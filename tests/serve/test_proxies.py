"""The service behind a proxy: under a path, and what it believes of X-Forwarded-* headers."""

import json
import logging
import re

import httpx
import pytest
from listening import listening
from nginx import CONFIG, in_front_of
from starlette.responses import PlainTextResponse

from gan.serve.proxies import ProxyHeaders

pytestmark = pytest.mark.anyio
PREFIX = "X-Forwarded-Prefix"


async def root_of(client, prefix=None):
    """The path that the service gives its endpoints."""
    response = await client.get("/", headers={} if prefix is None else {PREFIX: prefix})
    (docs,) = re.findall(r"GET (\S*)/docs", " ".join(response.json()["endpoints"]))
    return docs


async def test_a_prefix_comes_from_a_trusted_proxy_or_else_from_the_settings(service):
    async with service("trusted_proxies=10.0.0.0/8") as client:
        assert await root_of(client) == ""
        for header, root in (
            ("/gan", "/gan"),
            ("/gan/", "/gan"),
            ("/a, /b/c", "/a/b/c"),
            ("/", ""),
            ("//other.example", ""),
            ("/a/../b", ""),
            ("gan", ""),
            ('/"><script>', ""),
            ("", ""),
        ):
            assert await root_of(client, header) == root
    async with service("trusted_proxies=192.0.2.1") as client:
        assert await root_of(client, "/gan") == ""
    async with service("root_path=/digits/", "trusted_proxies='*'") as client:
        assert await root_of(client) == "/digits"
        assert await root_of(client, "/gan") == "/gan"


@pytest.mark.parametrize("start", ["", "/gan"], ids=["the proxy removes the path", "the proxy leaves the path"])
async def test_everything_works_under_a_path(service, start, metric, caplog):
    before = metric("gan_http_requests_total", path="/v1/generate")
    async with service("root_path=/gan") as client:
        with caplog.at_level(logging.INFO, "gan.access"):
            for path in ("/", "/ui/", "/ui/script.js", "/docs", "/redoc", "/assets/swagger-ui.css", "/v1/models"):
                assert (await client.get(f"{start}{path}")).status_code == 200
            assert (await client.get(f"{start}/readyz")).status_code == 200
            assert (await client.post(f"{start}/v1/generate", json={})).status_code == 200
        assert "/readyz" not in caplog.text
        assert json.loads(caplog.messages[-1])["path"] == "/v1/generate"
        assert metric("gan_http_requests_total", path="/v1/generate") - before == 1
        assert (await client.get(f"{start}/openapi.json")).json()["servers"] == [{"url": "/gan"}]
        assert (await client.get(f"{start}/ui")).headers["location"] == "ui/"
        assert (await client.get(f"{start}/docs/")).headers["location"] == "http://t/gan/docs"
        assert (await client.get("/ganymede")).status_code == 404


async def test_only_a_trusted_proxy_names_the_client(service, caplog):
    headers = {"X-Forwarded-For": "192.0.2.7"}
    for trusted, client_address in (("10.0.0.1", "192.0.2.7"), ("10.0.0.2", "10.0.0.1")):
        async with service(f"trusted_proxies={trusted}") as client:
            with caplog.at_level(logging.INFO, "gan.access"):
                await client.get("/info", headers=headers)
            assert json.loads(caplog.messages[-1])["client"] == client_address


async def test_a_service_that_listens_for_ipv6_knows_its_proxy_by_the_address_of_ipv4():
    async def echo(scope, receive, send):
        await PlainTextResponse(f"{scope['client'][0]} {scope['root_path']}")(scope, receive, send)

    for address, believed in (("::ffff:10.0.0.1", "192.0.2.7 /gan"), ("::ffff:10.0.0.2", "10.0.0.2 ")):
        transport = httpx.ASGITransport(ProxyHeaders(echo, "10.0.0.1", None), client=(address, 1234))
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            for hops in ("192.0.2.7", "::ffff:192.0.2.7", "192.0.2.7, ::FFFF:10.0.0.1", "192.0.2.7,[::ffff:10.0.0.1]"):
                assert (await client.get("/", headers={"X-Forwarded-For": hops, PREFIX: "/gan"})).text == believed


@pytest.mark.process
@pytest.mark.parametrize("prefix", ["", "/gan"])
def test_nginx_serves_it_at_the_root_and_under_a_path(settings, tmp_path, prefix):
    with listening(settings()) as (url, stop), in_front_of(url, tmp_path) as proxy:
        client = httpx.Client(base_url=f"{proxy}{prefix}", follow_redirects=True, verify=False)
        for path in ("/", "/ui", "/docs", "/docs/", "/redoc", "/assets/redoc.standalone.js", "/v1/models"):
            assert client.get(path, headers={PREFIX: "/forged"}).status_code == 200
        document = client.get("/openapi.json").json()
        assert document.get("servers", [{"url": ""}]) == [{"url": prefix}]
        assert f"GET {prefix}/ui/" in client.get("/").json()["endpoints"]
        assert client.post("/v1/generate", json={"seed": 7}).json()["seed"] == 7
        assert client.get("/metrics").status_code == 403
        for _ in range(3):
            refused = client.post("/v1/generate", content=b" " * 5_000_000)
            assert (refused.status_code, refused.json()) == (413, {"detail": "The body is larger than 65536 bytes."})
        stop()
        unreachable = client.get("/v1/models")
        assert (unreachable.status_code, unreachable.json()) == (502, {"detail": "The service cannot be reached."})


async def test_of_the_schemes_of_several_proxies_the_clients_counts(service):
    async with service("trusted_proxies='*'") as client:
        for header in ("https", "https,http", "https, http"):
            response = await client.get("/v1/models/", headers={"X-Forwarded-Proto": header}, follow_redirects=False)
            assert response.headers["location"].startswith("https://")


def test_nginx_closes_an_idle_connection_before_the_service_does(settings):
    (seconds,) = re.findall(r"keepalive_timeout (\d+)s;", CONFIG.read_text(encoding="utf-8"))
    assert int(seconds) < settings().keep_alive  # a request would meet a closed connection, and get status 502
